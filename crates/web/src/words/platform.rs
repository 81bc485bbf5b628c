//! The words of a cluster's pages.

use super::Words;

impl Words {
    /// The phrases of a cluster's pages.
    pub fn platform(&self) -> &'static Phrases {
        match self.lang {
            "ru" => &RUSSIAN,
            _ => &ENGLISH,
        }
    }
}

catalogue! {
    /// Every phrase of a cluster's pages.
    Phrases;
    cluster_navigation: "Cluster", "Кластер";
    now: "Now", "Сейчас";
    cluster: "Cluster", "Кластер";
    check: "Check", "Проверка";
    connect: "Connect", "Connect";
    sign_in: "Sign in", "Вход";
    sign_out: "Sign out", "Выйти";
    sign_in_about: "Every request goes out with your token, and shows what it may see. The token is kept in memory until the session ends.", "Каждый запрос идёт с вашим токеном и показывает то, что ему видно. Токен хранится в памяти до конца сеанса.";
    token: "Token of Kubernetes (kubectl create token NAME)", "Токен Kubernetes (kubectl create token ИМЯ)";
    namespaces: "Namespaces, apart by commas; empty for all", "Пространства имён через запятую; пусто: все";
    wrong_token: "The API server does not take this token. It may have expired.", "API-сервер не принимает этот токен. Возможно, срок его истёк.";
    no_answer: "The API server does not answer:", "API-сервер не отвечает:";
    link_about: "This page is opened by its link, which `stoke open` and `stoke console` print. The session may have ended: open the link again.", "Эта страница открывается по ссылке, которую печатают `stoke open` и `stoke console`. Возможно, сеанс кончился: откройте ссылку снова.";
    wrong_form: "The form was not sent by a page of this server. Open the page again and repeat.", "Форма отправлена не со страницы этого сервера. Откройте страницу заново и повторите.";
    too_large: "That is too large: 256 KiB at most.", "Слишком много: не больше 256 КиБ.";
    refused: "You may not see this", "Вам это не видно";
    runs_refused: "It is of runs whose applications your token may not list.", "Это о запусках, приложения которых вашему токену не видны.";
    no_definitions: "The cluster does not know SparkApplications: `stoke operator install` brings the definitions.", "Кластер не знает SparkApplication: определения ставит `stoke operator install`.";
    choose_namespaces: "Your token may not list all namespaces. Sign in again and name yours.", "Вашему токену не видны все пространства имён. Войдите снова и назовите свои.";
    attention: "What needs attention first", "Что требует внимания";
    attention_none: "Nothing needs you now.", "Сейчас внимания ничего не требует.";
    why: "Why", "Почему";
    since: "Since", "С";
    what_to_do: "What to do", "Что делать";
    namespace: "Namespace", "Пространство";
    run: "Run", "Запуск";
    need_failed: "failed", "завершилось ошибкой";
    need_stuck: "stuck", "застряло";
    need_refused: "submission refused", "отправка отклонена";
    need_untaken: "no operator takes it", "ни один оператор не берёт";
    need_waits: "driver waits", "драйвер ждёт";
    need_alone: "no executors", "нет исполнителей";
    do_failed: "Read the end of the driver's log, then the findings of its run.", "Прочитайте конец журнала драйвера, затем выводы о запуске.";
    do_stuck: "Look at its pods and their events.", "Посмотрите поды и их события.";
    do_refused: "Read the message; it is tried again as its restart policy says.", "Прочитайте сообщение; повтор по политике перезапуска.";
    do_untaken: "See that an operator runs and serves this namespace.", "Проверьте, что оператор работает и обслуживает это пространство.";
    do_waits: "Look at what its driver waits for.", "Посмотрите, чего ждёт драйвер.";
    do_alone: "Look at what its executors wait for, and at the quota.", "Посмотрите, чего ждут исполнители, и квоту.";
    search_now: "Name, namespace, id or version", "Имя, пространство, номер или версия";
    no_applications: "No application is here yet. Apply a manifest with `kubectl apply` or `stoke run`.", "Приложений ещё нет. Примените манифест: `kubectl apply` или `stoke run`.";
    executors_now: "Executors", "Исполнители";
    life: "Its life", "Ход жизни";
    life_about: "Where each second of the current attempt went.", "Куда ушла каждая секунда текущей попытки.";
    step_created: "Until it was submitted", "До отправки";
    step_submitted: "Until a node was found", "До выбора узла";
    step_scheduled: "Until the driver started", "До запуска драйвера";
    step_started: "Driver without executors", "Драйвер без исполнителей";
    step_ran: "Driver, and executors that are gone", "Драйвер и исполнители, которых уже нет";
    step_executor: "With executors", "С исполнителями";
    reached: "Steps", "Шаги";
    step: "Step", "Шаг";
    when: "When", "Когда";
    created: "Created", "Создано";
    driver_scheduled: "Node found for the driver", "Узел для драйвера найден";
    driver_started: "Driver started", "Драйвер запущен";
    first_executor: "First executor started", "Первый исполнитель запущен";
    attempts_told: "Attempts", "Попытки";
    conditions: "Conditions", "Условия";
    condition: "Condition", "Условие";
    status: "Status", "Состояние";
    message: "Message", "Сообщение";
    pods: "Pods", "Поды";
    pod: "Pod", "Под";
    role: "Role", "Роль";
    node: "Node", "Узел";
    restarts: "Restarts", "Перезапуски";
    no_pods: "No pod is there: it was not submitted yet, or they were deleted.", "Подов нет: ещё не отправлено или они удалены.";
    events: "Events", "События";
    event_type: "Type", "Тип";
    event_object: "Object", "Объект";
    event_count: "Times", "Раз";
    no_events: "No event is there. Kubernetes forgets them after an hour.", "Событий нет. Kubernetes хранит их час.";
    waits_for: "Waits for", "Ждёт";
    manifest: "Manifest", "Манифест";
    manifest_checked: "The manifest and what `stoke check` finds at its lines", "Манифест и что `stoke check` находит в его строках";
    check_passes: "The check finds nothing wrong.", "Проверка не находит ошибок.";
    check_about: "Paste a manifest or drop a file. It is looked at here: nothing is created, no file is read.", "Вставьте манифест или бросьте файл. Он только проверяется: ничего не создаётся, файлы не читаются.";
    check_button: "Check it", "Проверить";
    driver_log: "Driver log", "Журнал драйвера";
    search_log: "Text in a line", "Текст в строке";
    no_log: "There is no log: the container has not started, or the pod is gone. `stoke logs NAME` reads logs that are kept.", "Журнала нет: контейнер не запущен или под удалён. `stoke logs ИМЯ` читает сохранённые журналы.";
    no_lines: "No line matches.", "Подходящих строк нет.";
    log_cut: "There is more than is read for a page: 8 MiB at most. `stoke logs` prints all of it.", "Есть ещё: для страницы читается не больше 8 МиБ. Всё печатает `stoke logs`.";
    more_lines: "More lines", "Больше строк";
    of_application: "Output", "Вывод";
    errors: "Errors", "Ошибки";
    warnings: "Warnings", "Предупреждения";
    infos: "Information", "Сообщения";
    debugs: "Debugging", "Отладка";
    its_run: "Pages of its run", "Страницы запуска";
    spark_ui: "Spark UI", "Spark UI";
    spark_ui_command: "Spark UI: stoke ui", "Spark UI: stoke ui";
    proposals: "Changes that the doctor proposes", "Изменения, которые предлагает доктор";
    change: "A change that the doctor proposes", "Изменение, которое предлагает доктор";
    look_at_it: "Look at it", "Посмотреть";
    difference: "What it changes", "Что изменится";
    change_about: "The next run takes the change. An application that has ended runs again only with the annotation stoke.dev/on-edit: Restart.", "Изменение возьмёт следующий запуск. Завершённое приложение запускается снова только с аннотацией stoke.dev/on-edit: Restart.";
    change_button: "Change the application", "Изменить приложение";
    change_refused: "It cannot be changed by you, or not so:", "Вы не можете изменить это, или не так:";
    runs_before: "Runs before it", "Прошлые запуски";
    no_runs_before: "No run of this name is in the history.", "В истории нет запусков с этим именем.";
    schedule: "Schedule", "Расписание";
    image: "Image", "Образ";
    main_file: "Main file", "Главный файл";
    phase: "State of the object", "Состояние объекта";
    executors_state: "Executors", "Исполнители";
    may_not: "You may not see them:", "Вам это не видно:";
    nodes: "Nodes", "Узлы";
    ready: "Ready", "Готов";
    not_ready: "Not ready", "Не готов";
    cores_asked: "Cores asked for", "Запрошено ядер";
    memory_asked: "Memory asked for", "Запрошено памяти";
    no_nodes: "No node is there.", "Узлов нет.";
    fills: "What fills it", "Чем занят";
    quotas: "Quotas", "Квоты";
    quota: "Quota", "Квота";
    resource: "Resource", "Ресурс";
    used: "Used", "Занято";
    no_quotas: "No quota limits these namespaces.", "Квот нет.";
    cannot_start: "Pods that cannot start", "Поды, которые не запускаются";
    all_start: "No pod waits.", "Ни один под не ждёт.";
    application: "Application", "Приложение";
    connect_servers: "Spark Connect servers", "Серверы Spark Connect";
    address: "Address", "Адрес";
    no_servers: "No Connect server is here. docs/how-to/spark-connect.md shows how to make one.", "Серверов Connect нет. Как создать: docs/how-to/spark-connect.md.";
    sql: "SQL", "SQL";
    sql_limits: "The statement runs with your rights on the cluster and only reads: SELECT, WITH, FROM, VALUES, TABLE, SHOW, DESCRIBE, EXPLAIN. It ends after {seconds} s; at most {rows} rows and {mib} MiB are taken. The limits are those of the answer: Spark may read more to find it.", "Запрос выполняется с вашими правами в кластере и только читает: SELECT, WITH, FROM, VALUES, TABLE, SHOW, DESCRIBE, EXPLAIN. Он прекращается через {seconds} с; берётся не больше {rows} строк и {mib} МиБ. Это пределы ответа: чтобы найти его, Spark может прочитать больше.";
    sql_no_server: "No Connect server is ready. docs/how-to/spark-connect.md shows how to make one.", "Готовых серверов Connect нет. Как создать: docs/how-to/spark-connect.md.";
    sql_server: "Server", "Сервер";
    sql_statement: "Statement", "Запрос";
    sql_costs: "What the servers cost", "Сколько стоят серверы";
    sql_costs_about: "By what a server's spec asks for: its driver and as many executors as there can be, without sidecars. A statement costs as much as the server does in the {seconds} s that it may take.", "По спецификации сервера: драйвер и наибольшее число исполнителей, без дополнительных контейнеров. Запрос стоит столько, сколько сервер за отведённые запросу {seconds} с.";
    sql_costs_without: "There are no prices, so no money is shown: cost is given in the time of cores. Start the server with --prices FILE; docs/reference/cost.md shows one.", "Цен нет, поэтому денег нет: стоимость выражена временем ядер. Запустите сервер с --prices ФАЙЛ; пример: docs/reference/cost.md.";
    sql_unbounded: "Without spec.dynamicAllocation.maxExecutors a server has no most: an executor more costs as much as its column says.", "Без spec.dynamicAllocation.maxExecutors у сервера нет предела: ещё один исполнитель стоит столько, сколько в его столбце.";
    sql_executors_most: "Executors at most", "Исполнителей не больше";
    sql_executor_hour: "An executor for an hour", "Исполнитель за час";
    sql_hour: "An hour at most", "Час не больше";
    sql_statement_most: "A statement at most", "Запрос не больше";
    sql_button: "Run", "Выполнить";
    sql_answer: "Answer", "Ответ";
    sql_nothing: "The statement has no result.", "У запроса нет результата.";
    sql_file: "All of it as CSV", "Всё это в CSV";
    sql_more_rows: "There are more rows.", "Это не все строки.";
    sql_more_bytes: "There are more rows than fit.", "Остальные строки не поместились.";
    sql_chart: "Numbers over the rows", "Числа по строкам";
    sql_chart_about: "Columns of numbers, in the order of the rows; the first column names them.", "Столбцы с числами в порядке строк; первый столбец их называет.";
    sql_bars: "Numbers by name", "Числа по именам";
    servers_about: "The address is for clients inside the cluster; `stoke connect NAME` opens it on this machine.", "Адрес для клиентов в кластере; `stoke connect ИМЯ` открывает его на вашей машине.";
}
