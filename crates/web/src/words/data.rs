//! The words of the pages of data contracts.

use super::Words;

impl Words {
    /// The words of the pages of data contracts.
    pub fn data(&self) -> &'static DataWords {
        match self.lang {
            "ru" => &RUSSIAN,
            _ => &ENGLISH,
        }
    }
}

catalogue! {
    /// Every word of the pages of data contracts.
    DataWords;
    data: "Data", "Данные";
    contracts: "Contracts", "Контракты";
    contract: "Contract", "Контракт";
    folder: "Folder", "Папка";
    no_place: "No place with verdicts is read. `stoke quality run CONTRACT --data PLACE --history DIR` keeps the verdicts of contracts in DIR; start this server with --quality DIR, or with the URL of a copy of it.", "Место с вердиктами не задано. `stoke quality run КОНТРАКТ --data МЕСТО --history ПАПКА` хранит вердикты контрактов в ПАПКЕ; запустите этот сервер с --quality ПАПКА или с URL её копии.";
    no_contracts: "No verdict is kept there yet. Keep one: stoke quality run CONTRACT --data PLACE --history {place}. Applications of `stoke up` and `stoke run` with the annotation stoke.dev/quality keep theirs by themselves.", "Там ещё нет вердиктов. Сохраните первый: stoke quality run КОНТРАКТ --data МЕСТО --history {place}. Приложения `stoke up` и `stoke run` с аннотацией stoke.dev/quality сохраняют свои сами.";
    trouble: "The place of the verdicts cannot be read; what is shown was read before:", "Место с вердиктами не читается; показано прочитанное раньше:";
    place_read: "Read from", "Прочитано из";
    standing: "Stands", "Состояние";
    why: "Why", "Почему";
    since: "Since", "С";
    checked: "Last checked", "Проверено";
    data_of: "Data", "Данные";
    data_rows: "Rows", "Строк";
    score: "Score, %", "Оценка, %";
    checks: "Checks", "Проверки";
    check: "Check", "Проверка";
    columns: "Columns", "Столбцы";
    checks_failed: "Checks that fail", "Нарушенные проверки";
    checks_failed_about: "no check fails in the last run of any contract.", "в последнем запуске контрактов нарушенных проверок нет.";
    more_checks: "More are on the pages of their contracts:", "Остальные на страницах контрактов:";
    set_aside: "Rows set aside", "Отложено строк";
    set_aside_reasons: "Rows set aside, by reason", "Отложенные строки по причинам";
    set_aside_none: "The last runs set no rows aside: `stoke quality run --quarantine DIR` does.", "Последние запуски строк не откладывали: это делает `stoke quality run --quarantine ПАПКА`.";
    set_aside_by: "By this check", "Этой проверкой";
    set_aside_in_all: "In all", "Всего";
    let_through: "Passed", "Прошло";
    set_aside_place: "Set aside in", "Отложено в";
    fresh_until: "Fresh until", "Свежие до";
    freshness: "Freshness", "Свежесть";
    freshness_none: "The contract asks for none: `maxAge` of a column in the short YAML, or the service level `freshness` or `latency` of ODCS.", "Контракт её не требует: `maxAge` столбца в коротком YAML или уровень `freshness` либо `latency` в ODCS.";
    latest_value: "Latest value", "Последнее значение";
    may_be_old: "May be so old", "Допустимый возраст";
    is_old: "Its age now", "Возраст сейчас";
    verdicts: "Verdicts", "Вердикты";
    verdicts_failed: "Failed verdicts", "Вердиктов с нарушением";
    verdicts_by_day: "Verdicts by day", "Вердикты по дням";
    verdicts_by_day_about: "Days are of UTC. Verdicts that failed stand on those that passed.", "Дни по UTC. Вердикты с нарушением стоят на успешных.";
    verdicts_over_time: "Score over time", "Оценка во времени";
    verdicts_over_time_about: "The last 500 verdicts by their time; those that failed are marked.", "Последние 500 вердиктов по времени; с нарушением — отмечены.";
    passed: "Passed", "Успешно";
    severity: "Severity", "Строгость";
    verdict: "Verdict", "Вердикт";
    expected: "Wanted", "Требуется";
    unexpected: "Rows that are otherwise", "Строк не таких";
    considered: "Of rows", "Из строк";
    percent: "Percent", "Процент";
    not_kept: "The record of the last run has no checks: it was written by an earlier version.", "В записи последнего запуска нет проверок: её писала прежняя версия.";
    damaged: "{} lines of its file cannot be read, and are no verdicts.", "Строк файла, которые не читаются и вердиктами не считаются: {}.";
    damaged_lines: "Lines that cannot be read", "Нечитаемые строки";
    damaged_line: "Line", "Строка";
    file: "File", "Файл";
    files: "Files", "Файлов";
    format: "Format", "Формат";
    others_broken: "Other data that break it", "Другие данные, которые его нарушают";
    over_runs: "What failed over all kept runs", "Что нарушалось за все хранимые запуски";
    times_failed: "Times", "Раз";
    last_failed: "Last time", "Последний раз";
    never_failed: "No check failed in a run that is kept.", "Ни в одном хранимом запуске нарушений нет.";
    search_contracts: "Contract, folder or data", "Контракт, папка или данные";
    need_broken: "contract broken", "контракт нарушен";
    need_stale: "data stale", "данные устарели";
    need_unknown: "verdict cannot be read", "вердикт не читается";
    do_broken: "Look at the checks that fail and at the rows they found.", "Посмотрите нарушенные проверки и найденные строки.";
    do_stale: "See that what writes the data ran, then check them again.", "Проверьте, что запись данных шла, и проверьте их снова.";
    do_unknown: "Repair or remove what cannot be read, then check the data again.", "Исправьте или удалите нечитаемое, затем проверьте данные снова.";
}
