//! The page in Russian.

use super::{Letters, Statuses, Steps, Words, grouped};

pub(super) const WORDS: Words = Words {
    number: |number| grouped(number, ',', '\u{a0}'),
    moment: |at| at.format("%d.%m.%Y, %H:%M:%S UTC").to_string(),
    just_now: "только что",
    minutes_ago: "{} мин назад",
    hours_ago: "{} ч назад",
    days_ago: |days| format!("{days} {} назад", plural(days, ["день", "дня", "дней"])),

    title: "Купить SKY за биткоины",
    languages: "Язык",
    skip: "К содержанию",
    as_of: |moment| format!("По состоянию на {moment}."),

    quote_title: "Сколько получится?",
    amount: "Вы вносите, BTC",
    payout: "или получаете, SKY",
    calculate: "Рассчитать",
    pay: "Вы вносите",
    get: "Вы получите около",
    rate: "Курс",
    sky_for_one_btc: |rate| format!("{rate} SKY за 1 BTC"),
    fixed_rate: "установлен обменником",
    watched_book: |seconds| format!("по книге заявок биржи, {seconds} с назад"),
    holds: "Действует",
    until_changed: |needed| {
        format!(
            "Пока обменник не изменит курс. Считается курс в момент, когда у вашего взноса будет {}.",
            confirmations(u64::from(needed))
        )
    },
    this_moment: |needed| {
        format!(
            "Это лишь оценка на данный момент. Монеты покупаются, когда у вашего взноса будет {}, по ценам того времени.",
            confirmations(u64::from(needed))
        )
    },
    fees: "Комиссии",
    no_fees: "Обменник комиссии не берёт.",
    no_exchange_fees: "Обменник комиссии не берёт, а комиссию биржи платит сам.",
    cut_off: |amount| format!("При округлении отбрасывается {amount} SKY."),
    unspent: |amount| format!("Останется {amount} BTC; всё, кроме нескольких сатоши, возвращается."),
    network_fee: "Комиссию сети Биткоин добавляет ваш кошелёк.",
    bounds: "Пределы",
    from_to: |least, most| {
        format!("От {least} до {most} BTC за один взнос; другие задерживаются, пока их не проверит оператор.")
    },
    payouts_above: |amount| format!("Выплаты больше {amount} SKY ждут оператора."),
    in_stock: |amount| format!("В наличии {amount} SKY."),
    on_offer: |amount| format!("Предлагается {amount} SKY."),
    above_stock: "Это больше, чем есть в наличии: выплата будет ждать пополнения.",
    either_side: "Заполните одно из двух полей.",
    not_a_number: "Введите число, например 0,1: не больше 8 знаков после запятой для BTC и 6 для SKY.",
    too_small: |least| format!("Это слишком мало: обменник принимает взносы от {least} BTC."),
    too_large: |most| format!("Это слишком много: обменник принимает взносы до {most} BTC."),
    beyond_book: "Это больше, чем сейчас предлагается на бирже.",
    no_market: "Цены биржи сейчас неизвестны. Взносы всё равно будут обработаны, как только цены появятся.",
    terms_fixed: |rate| format!("За 1 BTC — {rate} SKY."),
    terms_book: "SKY покупаются на бирже на ваш взнос, по ценам того времени.",
    confirmations_needed: |needed| {
        format!("Взнос засчитывается, когда у него есть {}.", confirmations(u64::from(needed)))
    },

    target: "Ваш адрес Skycoin",
    target_hint: "Сюда будут выплачены SKY.",
    get_address: "Получить адрес для взноса",
    target_is_right: "Это адрес Skycoin.",
    address_empty: "Введите адрес Skycoin, на который нужно заплатить.",
    address_character: "Это не адрес Skycoin: в нём есть знак, которого в адресах не бывает (например, 0, O, I или l).",
    address_length: "Это не адрес Skycoin: он слишком короткий или слишком длинный. Он скопирован целиком?",
    address_checksum: "Это не адрес Skycoin: контрольная сумма не сходится, значит, в нём опечатка.",
    address_version: "Таких адресов в Skycoin не бывает.",
    address_null: "Это ничей адрес.",
    address_own: "Это адрес самого обменника.",
    address_bitcoin: "Это адрес Биткоина. Введите адрес Skycoin, на который нужно заплатить.",
    binds_disabled: "Сейчас адреса для взносов не выдаются.",
    too_many_addresses: "У этого адреса Skycoin уже столько адресов для взноса, сколько может быть. Используйте один из них.",
    pool_empty: "Сейчас у обменника не осталось адресов для взноса. Попробуйте позже.",
    too_fast: "Слишком часто. Попробуйте чуть позже.",
    busy: "Обменник занят. Попробуйте ещё раз.",
    desk_unavailable: "Сейчас обменник не может выдавать адреса. Попробуйте ещё раз.",
    unknown_customer: "Для этого адреса Skycoin адрес для взноса не выдавался.",
    views_unavailable: "Сейчас записи обменника прочитать нельзя. Попробуйте ещё раз.",

    your_deposits: "Ваши взносы",
    paid_out_to: "Выплата на адрес",
    send_to: "Отправьте биткоины на адрес",
    copy: "Копировать",
    copied: "Скопировано",
    open_wallet: "Открыть в кошельке",
    qr_code_of: |address| format!("QR-код адреса {address}"),
    keep_link: "Сохраните адрес этой страницы: она показывает, что с вашими взносами.",
    another_address: "Получить ещё один адрес для взноса",
    earlier_addresses: "Прежние адреса для взноса, они по-прежнему действуют",
    deposits: "Взносы",
    waiting: "Ожидается взнос.",
    look_again: "Обновить",
    stale: "Нет связи с обменником: то, что вы видите, могло устареть. Пробуем снова.",
    silenced: |since| {
        format!(
            "Подписка, сделанная {since}, отключена: туда ничего не отправляется. Подпишите тот же адрес снова, чтобы получать уведомления."
        )
    },
    last_news: "Последние новости {} с назад.",
    changed: "Изменено",
    owed_back: "К возврату",

    step_done: "сделано",
    step_now: "сейчас",
    step_later: "впереди",
    step_stopped: "остановлено",

    steps: Steps {
        seen: "Замечен",
        confirmed: "Подтверждения",
        confirmations: |deep, required| format!("{deep} из {required}"),
        not_mined: "ещё не в блоке",
        decided: "Решение",
        at_rate: |rate| format!("по {rate} SKY за 1 BTC"),
        by_exchange: "будет куплено на бирже",
        bought: "Покупка",
        filled: |spent, amount, percent| format!("{percent} %: {spent} из {amount} BTC"),
        sent: "Выплата",
        final_: "Окончательно",
        ended: "Завершено",
    },

    status: Statuses {
        seen: "Замечен, ждёт попадания в блок",
        confirming: |deep, required| format!("Ожидается подтверждение {deep} из {required}"),
        quarantined: "Получен на адрес, который не используется; обратитесь к оператору",
        received: "Получен",
        buying: "SKY покупаются на бирже",
        sending: "SKY отправляются",
        sent: "Отправлено, ждём окончательного подтверждения",
        held: "Задержан; оператор разбирается",
        below_minimum: "Задержан: меньше, чем принимает обменник",
        above_maximum: "Задержан: больше, чем принимает обменник",
        payout_above_maximum: "Задержан: больше, чем выплачивается без оператора",
        orphaned: "Его блок выпал из цепочки; ждёт попадания в новый",
        mined_again: |deep, required| format!("Снова в блоке: ожидается подтверждение {deep} из {required}"),
        refund_due: "Будет возвращён",
        paid: "Выплачено",
        refunded: "Возвращён",
        vanished: "Транзакция не состоялась",
        written_off: "Монеты потрачены в другой транзакции; выплаты не будет",
        failed: "Завершён без выплаты",
    },

    letters: Letters {
        confirm_title: "Сообщать вам о взносах?",
        confirm: "Вы будете получать сообщение каждый раз, когда что-то меняется со взносом для адреса, который назвали вы или кто-то другой.",
        confirm_button: "Да, сообщать",
        confirmed: "Теперь вы будете получать сообщения.",
        leave_title: "Больше не сообщать?",
        leave: "Вам больше ничего не отправят. То, что обменник должен, он всё равно выплатит.",
        leave_button: "Больше ничего не присылать",
        left: "Больше вы об этом не услышите.",
        done: "Готово",
        not_done: "Не сделано",
        unknown_code: "Ссылка не подходит или устарела: подтвердить по ней можно в течение часа. Ничего не сделано.",
        unavailable: "Сейчас обменник не может этого сделать. Попробуйте ещё раз.",
    },

    newer_log: "Записи обменника сделаны его более новой версией. Показано то, что было известно; пока снова не заработает та версия, адреса не выдаются и выплат нет. Ни один взнос не потерян.",
    newer_unknown: |unknown| format!("Чего эта версия не знает: {unknown}."),
    cannot_write: |why| {
        format!(
            "Обменник сейчас не может вести записи: {why}. До тех пор адреса не выдаются и выплат нет; потом он продолжит сам, и ни один взнос не потерян."
        )
    },
    may_be_old: |why| {
        format!(
            "То, что вы видите, могло устареть: {why}. Ни один взнос не потерян, и обменник покажет новое, как только сможет."
        )
    },
    disk_full: "диск заполнен",
    disk_read_only: "диск доступен только для чтения",
    disk_failing: "диск не работает",
    starting_title: "Millrace запускается",
    starting: "Обменник запускается; попробуйте через мгновение.",
    restarting_title: "Ядро перезапускается",
    restarting: "Ядро обменника остановилось и запускается снова; оно продолжит с того же места. Эта страница обновится сама.",
    failing: |times| {
        format!(
            "Ядро обменника остановилось и пока не запустилось (попыток: {times}); оно запускается снова и снова и продолжит с того же места. Ни один взнос не потерян."
        )
    },
};

/// The form that goes with a number: as with 1, as with 2, as with 5.
fn plural(number: u64, [one, few, many]: [&'static str; 3]) -> &'static str {
    match (number % 10, number % 100) {
        (_, 11..=14) => many,
        (1, _) => one,
        (2..=4, _) => few,
        _ => many,
    }
}

fn confirmations(number: u64) -> String {
    format!("{number} {}", plural(number, ["подтверждение", "подтверждения", "подтверждений"]))
}
