//! The words of the pages of objectives, alerts, runbooks and incidents.

use super::Words;

impl Words {
    /// The words of the pages of objectives, alerts, runbooks and incidents.
    pub fn observe(&self) -> &'static ObserveWords {
        match self.lang {
            "ru" => &RUSSIAN,
            _ => &ENGLISH,
        }
    }
}

catalogue! {
    /// Every word of the pages of objectives, alerts, runbooks and incidents.
    ObserveWords;
    objectives: "Objectives", "Цели";
    objective: "Objective", "Цель";
    alerts: "Alerts", "Оповещения";
    alert: "Alert", "Оповещение";
    runbooks: "Runbooks", "Инструкции";
    runbook: "Runbook", "Инструкция";
    incidents: "Incidents", "Инциденты";
    incident: "Incident", "Инцидент";
    firing: "Firing", "Сработало";
    open: "Open", "Открыт";
    read_at: "Read", "Прочитано";
    read_from: "From", "Откуда";
    not_read: "It was not read yet. This page looks again by itself.", "Ещё не прочитано. Страница обновится сама.";
    trouble: "It cannot be read now; what is shown was read before:", "Сейчас не читается; показано прочитанное раньше:";

    no_objectives: "No objectives are judged here. `stoke slo platform` prints some to begin with; start this server with --objectives FILE.", "Цели здесь не заданы. Для начала их печатает `stoke slo platform`; запустите этот сервер с --objectives ФАЙЛ.";
    no_statuses: "The files have no objective of runs.", "В файлах нет целей для запусков.";
    services_about: "Prometheus judges objectives of services, by the rules of `stoke slo rules`; not shown here:", "Цели сервисов оценивает Prometheus по правилам `stoke slo rules`; здесь их нет:";
    search_objectives: "Objective, job or service", "Цель, задача или сервис";
    job: "Job", "Задача";
    all_jobs: "all", "все";
    service: "Service", "Сервис";
    measure: "Measure", "Мера";
    target: "Target, %", "Цель, %";
    events: "Runs", "Запусков";
    bad: "Bad", "Плохих";
    bad_rate: "Bad runs, %", "Плохих, %";
    bad_rate_between: "Their rate, 90 %", "Их доля, 90 %";
    budget_left: "Budget left, %", "Остаток бюджета, %";
    budget_between: "Budget left, 90 %", "Остаток, 90 %";
    evidence: "Evidence", "Улики";
    evidence_about: "Evidence is the logarithm of how much likelier the runs are under a broken job than under the objective. It falls to zero with good runs; at its threshold a person is woken.", "Улики — логарифм того, насколько запуски вероятнее при сломанной задаче, чем при соблюдении цели. С хорошими запусками они падают до нуля; на пороге будят человека.";
    evidence_of: "{} of {}", "{} из {}";
    forecast: "Budget spent in, days", "Бюджет кончится через, дней";
    forecast_between: "Between, days", "Между, дней";
    what_follows: "What follows", "Что следует";
    pages_now: "someone is woken", "будят человека";
    overdue: "a result is overdue", "результат просрочен";
    ticket_now: "a ticket", "заявка";
    not_shown: "cannot be shown yet", "пока не показать";
    kept: "kept", "соблюдена";
    is_broken: "broken", "нарушена";
    no_runs: "no runs", "нет запусков";
    overdue_for: "Overdue for", "Просрочено на";
    needed: "Good runs that would show it", "Хороших запусков до доказательства";
    unknown_runs: "Runs that ended unknown", "Запусков с неизвестным концом";
    running_runs: "Runs that go on", "Идёт запусков";
    runs_a_day: "Runs a day", "Запусков в день";
    window_from: "From", "С";
    window_until: "Until", "По";
    meters: "Evidence meters", "Счётчики улик";
    no_meters: "There are no meters: of all jobs together, and of freshness, there are windows and deadlines.", "Счётчиков нет: для всех задач вместе и для свежести есть окна и сроки.";
    meter: "Meter", "Счётчик";
    to_page: "Bad runs until someone is woken", "Плохих запусков до вызова";
    tails: "Windows", "Окна";
    days: "Days", "Дней";
    probability: "Probability at the objective", "Вероятность при цели";
    alarm: "Bad runs that open a ticket", "Плохих запусков до заявки";
    paged: "When someone was woken", "Когда будили";
    never_paged: "No one was woken in this record.", "По этим данным никого не будили.";
    until_when: "Until", "До";
    why_bad: "Bad runs by reason", "Плохие запуски по причинам";
    no_bad: "No run was bad.", "Плохих запусков не было.";
    bad_kind: "Reason", "Причина";
    need_objective: "the record so far is improbable under the objective", "такие запуски маловероятны при соблюдении цели";
    do_objective: "Look at the evidence, then at the runs that failed.", "Посмотрите улики, затем запуски с ошибкой.";

    no_alertmanager: "No Alertmanager is asked. `stoke up --observe` starts one with Stoke's rules; for another, start this server with --alertmanager URL.", "Alertmanager не опрашивается. `stoke up --observe` запускает его с правилами Stoke; для другого запустите этот сервер с --alertmanager URL.";
    nothing_fires: "Nothing fires.", "Ничего не сработало.";
    fires_now: "What fires", "Что сработало";
    severity: "Severity", "Важность";
    owner: "Owner", "Владелец";
    of_what: "Of what", "О чём";
    summary: "What it says", "Что говорит";
    silenced: "silenced", "заглушено";
    inhibited: "another alert says it", "о том же другое оповещение";
    not_yet: "not sent yet", "ещё не отправлено";
    heartbeat_yes: "arrives", "приходит";
    heartbeat_no: "does not arrive: alerts may be lost", "не приходит: оповещения могут теряться";
    heartbeat: "Heartbeat", "Сигнал жизни";
    pack: "Alerts of the pack", "Оповещения набора";
    rule_fires: "Fires now", "Сработало";
    owner_job: "the job's team", "команда задачи";
    owner_platform: "platform", "платформа";
    need_alert: "an alert fires", "сработало оповещение";
    do_alert: "Run the runbook", "Выполните инструкцию";
    do_alert_look: "Look at the alert", "Посмотрите оповещение";

    runbooks_about: "A runbook checks first, says what a change touches and asks, proves that the symptom is gone, and keeps a record. It runs on the command line, with your rights.", "Инструкция сначала проверяет, говорит, что затронет изменение, и спрашивает, доказывает, что симптом исчез, и ведёт запись. Она выполняется в командной строке с вашими правами.";
    steps: "Steps", "Шаги";
    step: "Step", "Шаг";
    does: "Does", "Делает";
    what: "What", "Что";
    only_on: "On these branches", "На ветвях";
    rights: "Needs the right to", "Нужны права";
    undone_by: "How it is undone", "Как отменяется";
    last_drill: "Last drill", "Последняя тренировка";
    drills: "Drills", "Тренировки";
    no_drills: "No drill of it is recorded.", "Записей о тренировках нет.";
    fault: "Fault", "Неисправность";
    gone_after: "Symptom gone after", "Симптом исчез через";
    records: "Records of runs", "Записи выполнений";
    no_records: "It was not run from here yet. Begin with: stoke runbook run NAME --dry-run", "Отсюда ещё не выполнялась. Начните с: stoke runbook run ИМЯ --dry-run";
    records_elsewhere: "Records are kept on the machine where a runbook is run: `stoke up` and `stoke console` show them there.", "Записи хранятся на машине, где инструкцию выполняли: их показывают `stoke up` и `stoke console`.";
    record: "Record", "Запись";
    who: "Who", "Кто";
    ending: "End", "Итог";
    opened: "Opened", "Открыто";
    changed: "Last line", "Последняя строка";
    command: "Command", "Команда";
    parameter: "Option", "Параметр";
    parameters: "Options", "Параметры";
    found_at: "Where it is found", "Где найти";
    required: "required", "обязателен";
    maybe: "may be left out", "необязателен";
    leads_here: "Alerts that lead here", "Оповещения, ведущие сюда";
    no_alert_leads: "No alert leads here.", "Ни одно оповещение сюда не ведёт.";
    codes: "Findings that lead here", "Выводы, ведущие сюда";
    limits: "What it leaves to you", "Что остаётся вам";
    waits_for_you: "waits for a person", "ждёт человека";
    unfinished: "unfinished", "не закончено";
    cluster_of: "Cluster", "Кластер";
    input: "Input", "Ввод";
    goes_on: "Goes on with", "Продолжить";
    undo: "Undone with", "Отменить";
    lines: "Lines", "Строки";

    no_incidents: "No incident was opened on this machine. Open one: stoke incident open TITLE", "На этой машине инцидентов не открывали. Открыть: stoke incident open ЗАГОЛОВОК";
    incidents_elsewhere: "Incidents are kept on the machine where they are opened: `stoke up` and `stoke console` show them there.", "Инциденты хранятся на машине, где их открыли: их показывают `stoke up` и `stoke console`.";
    began: "Began", "Начался";
    detected_after: "Detected after", "Замечен через";
    repaired_after: "Repaired after", "Устранён через";
    closed: "Closed", "Закрыт";
    says: "Said", "Сказано";
    time_line: "Time line", "Хронология";
    nothing_happened: "Nothing is known of its time.", "О его времени ничего не известно.";
    time: "Time", "Время";
    from_where: "Source", "Источник";
    about: "About", "О чём";
    symptom: "Symptom", "Симптом";
    review: "Draft of the review", "Черновик разбора";
    need_incident: "an incident is open", "открыт инцидент";
    do_incident: "Look at its time line.", "Посмотрите хронологию.";
    search_incidents: "Title, namespace or id", "Заголовок, пространство или номер";
}
