//! The words of pages, in English and in Russian, in one list; and numbers as people read them.

#[macro_use]
mod catalogue;
pub mod data;
pub mod observe;
pub mod platform;

use crate::page::State;

/// A language pages are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    English,
    Russian,
}

impl Language {
    /// The language a browser wishes most of those there are; English when it names none (`Accept-Language`, RFC 9110 12.5.4).
    pub fn of(accepted: &str) -> Language {
        let mut best = (0.0, Language::English);
        for wish in accepted.split(',').take(32) {
            let mut parts = wish.split(';').map(str::trim);
            let tag = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(Some(1.0), |weight| weight.parse::<f32>().ok());
            let language = match tag.split('-').next() {
                Some("ru") => Language::Russian,
                Some("en" | "*") => Language::English,
                _ => continue,
            };
            if let Some(weight) = weight.filter(|weight| *weight > best.0) {
                best = (weight, language);
            }
        }
        best.1
    }

    pub fn words(self) -> &'static Words {
        match self {
            Language::English => &ENGLISH,
            Language::Russian => &RUSSIAN,
        }
    }
}

catalogue! {
    /// Every word of the pages of runs.
    Words;
    lang: "en", "ru";
    skip: "Skip to content", "К содержанию";
    main_navigation: "Main", "Главная навигация";
    application_navigation: "Application", "Приложение";
    applications: "Applications", "Приложения";
    overview: "Overview", "Обзор";
    jobs: "Jobs", "Задания";
    job: "Job", "Задание";
    stages: "Stages", "Стадии";
    stage: "Stage", "Стадия";
    storage: "Storage", "Хранение";
    environment: "Environment", "Окружение";
    executors: "Executors", "Исполнители";
    executor: "Executor", "Исполнитель";
    sql: "SQL", "SQL";
    execution: "SQL execution", "Выполнение SQL";
    findings: "Findings", "Выводы";
    name: "Name", "Имя";
    id: "Id", "Номер";
    user: "User", "Пользователь";
    version: "Spark", "Spark";
    started: "Started", "Начало";
    ended: "Ended", "Конец";
    duration: "Duration", "Длительность";
    against_usual: "Against usual", "К обычному";
    state: "State", "Состояние";
    attempts: "Attempts", "Попытки";
    attempt: "Attempt", "Попытка";
    exit_code: "Exit code", "Код выхода";
    last_change: "Log changed", "Журнал изменён";
    all: "All", "Все";
    running: "Running", "Идёт";
    succeeded: "Succeeded", "Успешно";
    failed: "Failed", "Ошибка";
    killed: "Killed", "Прервано";
    pending: "Pending", "Ожидает";
    skipped: "Skipped", "Пропущено";
    finished: "Finished", "Завершено";
    gone: "Gone", "Ушёл";
    holds: "Holds", "Соблюдён";
    stale: "Stale", "Устарели";
    broken_contract: "Broken", "Нарушен";
    unclear: "Unknown", "Неизвестно";
    search: "Search", "Искать";
    search_applications: "Name, id, user or version", "Имя, номер, пользователь или версия";
    search_description: "Description or id", "Описание или номер";
    search_tasks: "Host, executor, state or error", "Узел, исполнитель, состояние или ошибка";
    search_properties: "Name or value", "Имя или значение";
    no_applications: "No event log is here yet. Run an application with spark.eventLog.enabled=true, or name another place with --dir.", "Здесь ещё нет журналов событий. Запустите приложение с spark.eventLog.enabled=true или укажите другое место в --dir.";
    no_match: "Nothing matches. Clear the search or choose another state.", "Ничего не найдено. Очистите поиск или выберите другое состояние.";
    nothing_cached: "This application cached nothing.", "Это приложение ничего не кэшировало.";
    nothing_here: "There is nothing here.", "Здесь ничего нет.";
    no_jobs: "No job was started yet.", "Заданий ещё не было.";
    no_executions: "This application ran no SQL.", "Это приложение не выполняло SQL.";
    rows_of: "of", "из";
    before: "Previous", "Назад";
    after: "Next", "Дальше";
    description: "Description", "Описание";
    submitted: "Submitted", "Отправлено";
    stages_done: "Stages done", "Стадии";
    tasks: "Tasks", "Задачи";
    totals: "Totals", "Итоги";
    group: "Group", "Группа";
    tags: "Tags", "Метки";
    input: "Input", "Чтение";
    output: "Output", "Запись";
    shuffle_read: "Shuffle read", "Чтение перемешивания";
    shuffle_write: "Shuffle write", "Запись перемешивания";
    spill: "Spill (disk)", "Сброс на диск";
    spill_memory: "Spill (memory)", "Сброс из памяти";
    gc: "GC", "Сборка мусора";
    pool: "Pool", "Пул";
    failure: "Why it failed", "Почему не удалось";
    details: "Where it was called", "Откуда вызвано";
    core_time: "Where core time went", "Куда ушло время ядер";
    core_time_about: "Cores of executors, from the moment each was added until it left. Computing is CPU time of the JVM; waiting for data, and Python or other programs, are the other time in tasks.", "Ядра исполнителей: от добавления каждого до ухода. Вычисление: процессорное время JVM; ожидание данных, Python и другие программы: остальное время в задачах.";
    computing: "Computing", "Вычисление";
    waiting: "Other time in tasks", "Остальное в задачах";
    idle: "Idle", "Простой";
    held: "Core time", "Время ядер";
    timeline: "Time line", "Ход времени";
    timeline_about: "Jobs above, executors below; the stronger the colour, the more of their cores worked.", "Сверху задания, ниже исполнители; чем ярче цвет, тем больше ядер занято.";
    busy_about: "The stronger the colour, the more of an executor's cores worked.", "Чем ярче цвет, тем больше ядер исполнителя занято.";
    more_lanes: "more executors are in the table.", "исполнителей ещё в таблице.";
    more_jobs: "more jobs are in the table.", "заданий ещё в таблице.";
    too_many_tasks: "Too many tasks to draw how busy executors were.", "Слишком много задач, чтобы нарисовать занятость исполнителей.";
    distribution: "Task durations", "Длительность задач";
    distribution_about: "Successful tasks, and the others above them.", "Успешные задачи, над ними остальные.";
    quantiles: "Quantiles of tasks", "Квантили задач";
    measure: "Measure", "Величина";
    least: "Least", "Меньшее";
    quarter: "25 %", "25 %";
    median: "Median", "Медиана";
    three_quarters: "75 %", "75 %";
    greatest: "Greatest", "Большее";
    of_executors: "By executor", "По исполнителям";
    task_time: "Time in tasks", "Время в задачах";
    skewed: "The longest task took {} times the median: look at its input and shuffle read below.", "Самая долгая задача заняла в {} раз больше медианы: посмотрите её чтение ниже.";
    index: "Index", "Индекс";
    locality: "Locality", "Близость";
    host: "Host", "Узел";
    launched: "Launched", "Запущена";
    error: "Error", "Ошибка";
    speculative: "Speculative", "Спекулятивная";
    scheduler_delay: "Scheduler delay", "Задержка планировщика";
    deserialize_time: "Deserialization", "Десериализация";
    serialization_time: "Result serialization", "Сериализация результата";
    getting_result: "Getting the result", "Получение результата";
    peak_memory: "Peak execution memory", "Пик памяти выполнения";
    fetch_wait: "Fetch wait", "Ожидание чтения";
    remote_read: "Remote read", "Удалённое чтение";
    input_records: "Input records", "Прочитано записей";
    output_records: "Output records", "Записано записей";
    read_records: "Shuffle records read", "Записей из перемешивания";
    write_records: "Shuffle records written", "Записей в перемешивание";
    write_time: "Shuffle write time", "Время записи перемешивания";
    address: "Address", "Адрес";
    cores: "Cores", "Ядра";
    active: "Active", "Активен";
    storage_memory: "Storage memory used", "Занято памяти хранения";
    disk_used: "Disk used", "Занято диска";
    peak_heap: "Peak heap", "Пик кучи";
    peak_rss: "Peak process memory", "Пик памяти процесса";
    added: "Added", "Добавлен";
    removed: "Removed", "Удалён";
    reason: "Reason", "Причина";
    log: "Log", "Журнал";
    runtime: "Runtime", "Среда";
    java: "Java", "Java";
    scala: "Scala", "Scala";
    property: "Property", "Свойство";
    value: "Value", "Значение";
    default: "Default", "По умолчанию";
    changed: "What differs from the defaults", "Что отличается от умолчаний";
    spark_properties: "Spark properties", "Свойства Spark";
    hadoop_properties: "Hadoop properties", "Свойства Hadoop";
    system_properties: "System properties", "Системные свойства";
    metrics_properties: "Metrics properties", "Свойства метрик";
    classpath: "Classpath", "Путь классов";
    profiles: "Resource profiles", "Профили ресурсов";
    executor_resources: "Executor resources", "Ресурсы исполнителя";
    task_resources: "Task resources", "Ресурсы задачи";
    source: "Source", "Источник";
    level: "Level", "Уровень";
    partitions: "Partitions", "Разделы";
    cached: "Cached", "В кэше";
    in_memory: "In memory", "В памяти";
    on_disk: "On disk", "На диске";
    block: "Block", "Блок";
    plan: "Plan", "План";
    plan_about: "Data flow down. Rows stand at the edges, time and size at the nodes; the slowest nodes are marked.", "Данные идут вниз. Строки у рёбер, время и размер у узлов; самые медленные отмечены.";
    slowest: "slowest", "медленнее всех";
    plan_text: "Plan as text", "План текстом";
    nodes: "Nodes and what they measured", "Узлы и их измерения";
    operator: "Operator", "Оператор";
    measured: "Measured", "Измерено";
    rows: "rows", "строк";
    configuration: "Changed configuration", "Изменённые настройки";
    no_findings: "Nothing was found that needs attention.", "Ничего, что требует внимания.";
    findings_later: "The log is large: open Findings to have it read.", "Журнал большой: откройте «Выводы», чтобы его прочитать.";
    findings_too_large: "The log is too large to be read for a page. Run: stoke doctor --event-log", "Журнал слишком велик для страницы. Запустите: stoke doctor --event-log";
    findings_failed: "The log could not be read for findings:", "Журнал не прочитан для выводов:";
    evidence: "Evidence", "Свидетельства";
    fix: "Fix", "Что делать";
    gain: "Gain", "Выигрыш";
    warning: "Warning", "Предупреждение";
    advice: "Advice", "Совет";
    as_json: "This page as JSON", "Страница в JSON";
    as_rest: "Spark's status API", "В API состояния Spark";
    utc: "Times are UTC; with scripts in your zone.", "Время по UTC; со скриптами по вашему поясу.";
    not_found: "There is no such page", "Такой страницы нет";
    not_found_about: "The address may be of an application whose log is gone.", "Возможно, журнал этого приложения удалён.";
    broken: "The page could not be made", "Страница не получилась";
    wrong_host: "This server does not answer for that name. Start it with --host NAME to allow it.", "Этот сервер не отвечает за такое имя. Разрешите его: --host NAME.";
    compare: "Compare", "Сравнение";
    compare_choose: "Name two runs by their ids: the first is the one before, the second the one after.", "Назовите два запуска по номерам: сначала прежний, затем новый.";
    run_a: "First run (before)", "Первый запуск (прежний)";
    run_b: "Second run (after)", "Второй запуск (новый)";
    first_run: "Before", "Прежний";
    second_run: "After", "Новый";
    took_the_same: "Both took about the same time.", "Оба заняли примерно одно время.";
    took_longer: "The second run took {} % longer.", "Второй запуск занял на {} % больше времени.";
    took_shorter: "The second run took {} % less time.", "Второй запуск занял на {} % меньше времени.";
    others: "others", "прочее";
    in_all: "In all", "Всего";
    difference: "Difference", "Разница";
    difference_about: "Where the difference comes from: each part begins where the one before ended, and the last bar is their sum.", "Откуда разница: каждая часть начинается там, где кончилась прежняя; последняя полоса — их сумма.";
    why: "Why", "Почему";
    side_by_side: "Side by side", "Рядом";
    differs: "Differs", "Отличие";
    what_differs: "What differs", "Что отличается";
    nothing_differs: "Nothing differs.", "Отличий нет.";
    settings_changed: "Settings that differ", "Различия настроек";
    plans_changed: "Plans that differ", "Различия планов";
    pushed_filters: "Pushed filters", "Спущенные фильтры";
    room_for_tasks: "Room for tasks", "Мест для задач";
    tasks_succeeded: "Tasks succeeded", "Задач успешно";
    tasks_failed: "Tasks failed", "Задач с ошибкой";
    tasks_killed: "Tasks killed", "Задач прервано";
    stages_again: "Stages retried", "Стадий повторно";
    id_a: "Id before", "Номер прежде";
    id_b: "Id after", "Номер теперь";
    time_a: "Time before", "Время прежде";
    time_b: "Time after", "Время теперь";
    tasks_a: "Tasks before", "Задач прежде";
    tasks_b: "Tasks after", "Задач теперь";
    read_a: "Read before", "Прочитано прежде";
    read_b: "Read after", "Прочитано теперь";
    written_a: "Written before", "Записано прежде";
    written_b: "Written after", "Записано теперь";
    before_it: "The run before", "Прежний запуск";
    what_if: "What if", "Что если";
    what_if_about: "The recorded tasks are scheduled again on other executors.", "Записанные задачи планируются заново на других исполнителях.";
    other_executors: "Other executors", "Другие исполнители";
    cores_each: "Cores of each", "Ядер у каждого";
    predict: "Predict", "Предсказать";
    predicted: "Predicted", "Предсказано";
    recorded: "Recorded", "Записано";
    core_hours_paid: "Core-hours", "Ядро-часы";
    core_hours_recorded: "Core-hours recorded", "Ядро-часы записанные";
    at_least: "At least", "Не меньше";
    at_most: "At most", "Не больше";
    own_error: "Error on the recorded executors", "Ошибка на записанных исполнителях";
    no_task_runs: "No task runs", "Без задач";
    critical_path: "Not faster than", "Не быстрее чем";
    reliable: "To be relied on", "Можно полагаться";
    yes: "yes", "да";
    no: "no", "нет";
    curve: "Time by executors", "Время по числу исполнителей";
    curve_about: "Each point leads to its prediction. The band is what the log leaves open, widened by the error on the recorded executors.", "Каждая точка ведёт к своему предсказанию. Полоса: что журнал оставляет открытым, с ошибкой на записанных исполнителях.";
    with_error: "with its error", "с ошибкой";
    not_known: "Not known", "Неизвестно";
    size: "Size", "Размер";
    node_shape: "Shape of a node (16x64Gi, m6i.4xlarge)", "Узел (16x64Gi, m6i.4xlarge)";
    heap: "Heap", "Куча";
    beside_heap: "Beside the heap", "Кроме кучи";
    shuffle_partitions: "Shuffle partitions", "Разделов перемешивания";
    driver_cores: "Driver's cores", "Ядра драйвера";
    driver_heap: "Driver's heap", "Куча драйвера";
    on_nodes: "On nodes", "На узлах";
    patch: "Patch of the manifest", "Правка манифеста";
    cost: "Cost", "Стоимость";
    by_label: "By label", "По метке";
    its_value: "Only this value of it", "Только это её значение";
    since: "Since", "С";
    until: "Before", "До";
    show: "Show", "Показать";
    not_counted: "Not counted", "Не посчитаны";
    not_counted_yet: "{} runs are not counted yet. Load the page again: it goes on where it stopped.", "Ещё не посчитано запусков: {}. Загрузите страницу снова: счёт продолжится.";
    no_costs: "No run of these days is here. Choose other days, or another label.", "За эти дни запусков нет. Выберите другие дни или другую метку.";
    no_prices: "There are no prices: cost is given in the time of cores and of memory. Start the server with --prices FILE.", "Цен нет: стоимость выражена временем ядер и памяти. Запустите сервер с --prices ФАЙЛ.";
    no_label: "(no label)", "(без метки)";
    by_day: "By day", "По дням";
    by_day_about: "Days are of UTC. Areas stand on each other: their upper edge is the whole.", "Дни по UTC. Области стоят друг на друге: верхний край — всё вместе.";
    day: "Day", "День";
    runs: "Runs", "Запуски";
    gib_seconds: "GiB-seconds", "ГиБ-секунды";
    by_application: "By application", "По приложениям";
    by_application_about: "Boxes are as large as the cost: labels around applications around what they were for.", "Площадь — стоимость: метки, в них приложения, в них назначение.";
    use_work: "Work", "Работа";
    use_tail: "Tail (after the last task)", "Хвост (после последней задачи)";
    use_lost: "Lost tasks", "Потерянные задачи";
    use_driver: "Driver", "Драйвер";
    what_for: "What it was for", "На что ушло";
    what_for_about: "What driver and executors reserved, from their start to their end. Idle is time without a task; tail is what came after the last one.", "Что резервировали драйвер и исполнители от начала до конца. Простой — время без задач; хвост — после последней задачи.";
    streaming: "Streaming", "Потоки";
    dstreams: "DStreams", "Потоки DStream";
    dstreams_about: "Batches of a StreamingContext by the jobs they ran. Spark writes no more of them into event logs: rates of receivers are not there.", "Пакеты StreamingContext по их заданиям. Большего Spark в журнал событий не пишет: скоростей приёмников там нет.";
    no_streams: "This application had no streaming query.", "У этого приложения не было потоковых запросов.";
    batches: "Batches", "Пакеты";
    batch: "Batch", "Пакет";
    batch_times: "Duration of batches", "Длительность пакетов";
    batch_parts: "Of it", "Из чего";
    last_batch: "Last batch", "Последний пакет";
    rates: "Rows in a second", "Строк в секунду";
    rates_about: "What came in, and what was worked off. Where the first stays above the second, the query falls behind.", "Сколько пришло и сколько обработано. Если первое держится выше второго, запрос отстаёт.";
    input_rate: "Came in, rows/s", "Пришло, строк/с";
    process_rate: "Worked off, rows/s", "Обработано, строк/с";
    state_rows: "Rows of state", "Строк состояния";
    state_memory: "Memory of state", "Память состояния";
    late_rows: "Rows too late", "Опоздавших строк";
    watermark: "Watermark", "Водяной знак";
    sink: "Sink", "Приёмник";
    sessions: "Sessions", "Сеансы";
    session: "Session", "Сеанс";
    no_sessions: "No client of Spark Connect was here.", "Клиентов Spark Connect не было.";
    operations: "Operations", "Операции";
    statement: "Statement", "Запрос";
    analysis: "Analysis", "Анализ";
    execution_time: "Execution", "Выполнение";
    rows_given: "Rows given", "Отдано строк";
    stage_graph: "How the stages hang together", "Как связаны стадии";
    stage_graph_about: "A stage stands below those it needs; the slow path is marked.", "Стадия стоит под теми, что ей нужны; медленный путь отмечен.";
    rdd_graph: "What the stage computes", "Что вычисляет стадия";
    rdd_graph_about: "Data flow down: each RDD with the operation it is of.", "Данные идут вниз: каждый RDD со своей операцией.";
    computed_from: "Computed from", "Вычисляется из";
    accumulators: "Accumulators", "Аккумуляторы";
    adaptive: "Adaptive execution", "Адаптивное выполнение";
    plan_before: "Plan before", "План до";
    plan_after: "Plan after", "План после";
    slow_path: "Slow path", "Медленный путь";
    over_time: "Over time", "Во времени";
    gc_over_time: "Garbage collection over time", "Сборка мусора во времени";
    gc_over_time_about: "Percent of the time in tasks, of all executors.", "Процент времени в задачах, по всем исполнителям.";
    memory_over_time: "Memory over time", "Память во времени";
    memory_over_time_about: "The fullest executor. Spark tells peaks of stages: a stage's peak is drawn over all of its time.", "Самый полный исполнитель. Spark сообщает пики стадий: пик нарисован на всё её время.";
    too_large: "The log is too large to be read for a page: use the command line (stoke compare, stoke what-if, stoke cost).", "Журнал слишком велик для страницы: используйте командную строку (stoke compare, stoke what-if, stoke cost).";
    ms: "ms", "мс";
    s: "s", "с";
    min: "min", "мин";
    h: "h", "ч";
    d: "d", "д";
    core_hours: "core h", "ядро-ч";
    core_minutes: "core min", "ядро-мин";
    core_seconds: "core s", "ядро-с";
    done: "done", "готово";
    times: "×", "×";
}

/// Units of sizes, by 1024.
const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

impl Words {
    /// The word of a state.
    pub fn state(&self, state: &State) -> &'static str {
        match state {
            State::Running => self.running,
            State::Succeeded => self.succeeded,
            State::Failed => self.failed,
            State::Killed => self.killed,
            State::Pending => self.pending,
            State::Skipped => self.skipped,
            State::Ended => self.finished,
            State::Gone => self.gone,
            State::Holds => self.holds,
            State::Stale => self.stale,
            State::Broken => self.broken_contract,
            State::Unknown => self.unclear,
            State::Firing => self.observe().firing,
            State::Open => self.observe().open,
        }
    }

    /// A whole number in groups of three, apart by a narrow space.
    pub fn count(&self, number: &i64) -> String {
        let digits = number.unsigned_abs().to_string();
        let mut out = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                out.push('\u{202f}');
            }
            out.push(digit);
        }
        if *number < 0 { format!("−{out}") } else { out }
    }

    pub fn bytes(&self, bytes: &i64) -> String {
        let mut size = *bytes as f64;
        let mut unit = 0;
        while size.abs() >= 1024.0 && unit + 1 < UNITS.len() {
            size /= 1024.0;
            unit += 1;
        }
        match unit {
            0 => format!("{bytes} B"),
            _ => format!("{size:.1} {}", UNITS[unit]),
        }
    }

    /// Milliseconds, with two units at most.
    pub fn millis(&self, millis: &i64) -> String {
        let (millis, seconds) = (*millis, millis / 1000);
        match millis {
            ..1000 => format!("{millis} {}", self.ms),
            1000..60_000 => format!("{}.{} {}", seconds, millis % 1000 / 100, self.s),
            60_000..3_600_000 => format!("{} {} {:02} {}", seconds / 60, self.min, seconds % 60, self.s),
            3_600_000..86_400_000 => format!("{} {} {:02} {}", seconds / 3600, self.h, seconds / 60 % 60, self.min),
            _ => format!("{} {} {:02} {}", seconds / 86_400, self.d, seconds / 3600 % 24, self.h),
        }
    }

    /// Core-milliseconds.
    pub fn core_time(&self, millis: &i64) -> String {
        let seconds = *millis as f64 / 1000.0;
        match seconds {
            ..600.0 => format!("{seconds:.1} {}", self.core_seconds),
            ..36_000.0 => format!("{:.1} {}", seconds / 60.0, self.core_minutes),
            _ => format!("{:.1} {}", seconds / 3600.0, self.core_hours),
        }
    }

    /// More or fewer milliseconds, with the sign.
    pub fn change(&self, millis: &i64) -> String {
        let sign = if *millis < 0 { "−" } else { "+" };
        match millis {
            0 => self.millis(&0),
            _ => format!("{sign}{}", self.millis(&millis.saturating_abs())),
        }
    }

    /// A number with a fraction, as many digits as tell something.
    pub fn fraction(&self, number: &f64) -> String {
        match number.abs() {
            0.0 => "0".to_owned(),
            ..1.0 => format!("{number:.3}"),
            ..100.0 => format!("{number:.2}"),
            _ => format!("{number:.0}"),
        }
    }

    pub fn how_many_times(&self, times: &f64) -> String {
        format!("{times:.1}{}", self.times)
    }
}

/// A moment (milliseconds since 1970) as a page without scripts has it, and as the attribute of `<time>` has it.
pub fn moment(millis: &i64) -> String {
    iso(millis).replace('T', " ").replace('Z', " UTC")
}

/// A moment as ISO 8601 has it, in UTC.
pub fn iso(millis: &i64) -> String {
    let mut days = millis.div_euclid(86_400_000) + 719_468;
    let era = days.div_euclid(146_097);
    days = days.rem_euclid(146_097);
    let of_era = (days - days / 1460 + days / 36_524 - days / 146_096) / 365;
    let of_year = days - (365 * of_era + of_era / 4 - of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = of_era + era * 400 + i64::from(month <= 2);
    let seconds = millis.rem_euclid(86_400_000) / 1000;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = &'static (&'static str, &'static str, &'static str)> {
        ALL.iter().chain(platform::ALL).chain(data::ALL).chain(observe::ALL)
    }

    #[test]
    fn the_catalogue_is_whole() {
        // The same in both languages by their nature.
        let same = [
            "sql",
            "version",
            "java",
            "scala",
            "quarter",
            "three_quarters",
            "times",
            "connect",
            "spark_ui",
            "spark_ui_command",
        ];
        let is_cyrillic =
            |letter: char| ('а'..='я').contains(&letter.to_lowercase().next().unwrap_or(letter)) || letter == 'ё';
        for (name, english, russian) in all() {
            assert!(!english.trim().is_empty() && !russian.trim().is_empty(), "{name}");
            assert!(!english.chars().any(is_cyrillic), "{name}: {english}");
            assert!(
                same.contains(name) || *name == "lang" || russian.chars().any(is_cyrillic),
                "{name}: {russian}"
            );
            assert_eq!(english.matches("{}").count(), russian.matches("{}").count(), "{name}");
        }
    }

    #[test]
    fn every_word_is_used() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        let mut texts = String::new();
        let mut folders = vec![
            root.to_owned(),
            concat!(env!("CARGO_MANIFEST_DIR"), "/templates").to_owned(),
        ];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                match entry.path().is_dir() {
                    true => folders.push(entry.path().display().to_string()),
                    false => texts.push_str(&std::fs::read_to_string(entry.path()).unwrap()),
                }
            }
        }
        for (name, ..) in all() {
            let used = texts.match_indices(&format!(".{name}")).any(|(at, found)| {
                let after = texts[at + found.len()..].chars().next().unwrap_or(' ');
                !after.is_alphanumeric() && after != '_'
            });
            assert!(used, "no page says `{name}`");
        }
    }

    #[test]
    fn languages() {
        for (accepted, language) in [
            ("", Language::English),
            ("ru", Language::Russian),
            ("ru-RU,ru;q=0.9,en;q=0.8", Language::Russian),
            ("en-US,en;q=0.9,ru;q=0.8", Language::English),
            ("de,ru;q=0.5", Language::Russian),
            ("fr", Language::English),
            ("ru;q=0, en;q=0.1", Language::English),
            ("ru;q=nan,;;,=", Language::English),
        ] {
            assert_eq!(Language::of(accepted), language, "{accepted}");
        }
    }

    #[test]
    fn numbers() {
        let w = Language::English.words();
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1250, "1.2 s"),
            (61_000, "1 min 01 s"),
            (3_723_000, "1 h 02 min"),
            (90_000_000, "1 d 01 h"),
        ] {
            assert_eq!(w.millis(&millis), text);
        }
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (i64::MAX, "8.0 EiB")] {
            assert_eq!(w.bytes(&bytes), text);
        }
        assert_eq!(w.count(&1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(w.count(&-100), "−100");
        assert_eq!(moment(&1_795_304_699_487), "2026-11-21 23:44:59 UTC");
        assert_eq!(iso(&951_782_400_000), "2000-02-29T00:00:00Z");
    }
}
