//! The page in English.

use super::{Letters, Statuses, Steps, Words, grouped};

pub(super) const WORDS: Words = Words {
    number: |number| grouped(number, '.', ','),
    moment: |at| at.format("%-d %b %Y, %H:%M:%S UTC").to_string(),
    just_now: "just now",
    minutes_ago: "{} min ago",
    hours_ago: "{} h ago",
    days_ago: |days| format!("{days} {} ago", one_or_many(days, "day", "days")),

    title: "Buy SKY with Bitcoin",
    languages: "Language",
    skip: "Skip to the content",
    as_of: |moment| format!("As of {moment}."),

    quote_title: "What would it buy?",
    amount: "You deposit, in BTC",
    payout: "or you get, in SKY",
    calculate: "Calculate",
    pay: "You deposit",
    get: "You get about",
    rate: "Rate",
    sky_for_one_btc: |rate| format!("{rate} SKY for 1 BTC"),
    fixed_rate: "fixed by the desk",
    watched_book: |seconds| format!("from the exchange's order book, {seconds} s old"),
    holds: "Holds",
    until_changed: |needed| {
        format!(
            "Until the desk changes it. What counts is the rate when your deposit has {}.",
            confirmations(u64::from(needed))
        )
    },
    this_moment: |needed| {
        format!(
            "This is only an estimate for this moment. The coins are bought once your deposit has {}, at the prices of that time.",
            confirmations(u64::from(needed))
        )
    },
    fees: "Fees",
    no_fees: "The desk takes none.",
    no_exchange_fees: "The desk takes none and bears those of the exchange.",
    cut_off: |amount| format!("{amount} SKY are cut off by rounding."),
    unspent: |amount| format!("{amount} BTC would be left over; all but a few satoshi of it is owed back."),
    network_fee: "Your wallet adds the fee of the Bitcoin network.",
    bounds: "Limits",
    from_to: |least, most| {
        format!("{least} to {most} BTC for one deposit; others are held until the operator has looked.")
    },
    payouts_above: |amount| format!("Payouts above {amount} SKY wait for the operator."),
    in_stock: |amount| format!("{amount} SKY are in stock."),
    on_offer: |amount| format!("{amount} SKY are on offer."),
    above_stock: "That is more than is in stock: the payout would wait until there is enough.",
    either_side: "Fill in one of the two.",
    not_a_number: "Write a number such as 0.1, with at most 8 decimals of BTC or 6 of SKY.",
    too_small: |least| format!("That is too little: the desk deals in deposits from {least} BTC."),
    too_large: |most| format!("That is too much: the desk deals in deposits up to {most} BTC."),
    beyond_book: "That is more than is on offer at the exchange at the moment.",
    no_market: "The exchange's prices are not known at the moment. Deposits are served all the same, once they are.",
    terms_fixed: |rate| format!("1 BTC buys {rate} SKY."),
    terms_book: "SKY is bought on the exchange with your deposit, at the prices of that time.",
    confirmations_needed: |needed| format!("A deposit counts once it has {}.", confirmations(u64::from(needed))),

    target: "Your Skycoin address",
    target_hint: "Where the SKY are paid out to.",
    get_address: "Get a deposit address",
    target_is_right: "This is a Skycoin address.",
    address_empty: "Write the Skycoin address that is to be paid.",
    address_character: "This is no Skycoin address: it has a character that addresses do not have (such as 0, O, I or l).",
    address_length: "This is no Skycoin address: it is too short or too long. Was all of it copied?",
    address_checksum: "This is no Skycoin address: its checksum is wrong, so it is mistyped.",
    address_version: "This address is of a kind that Skycoin does not use.",
    address_null: "This is the address of nobody.",
    address_own: "This is the desk's own address.",
    address_bitcoin: "This is a Bitcoin address. Write the Skycoin address that is to be paid.",
    binds_disabled: "No deposit addresses are given out at the moment.",
    too_many_addresses: "This Skycoin address has as many deposit addresses as it may have. Use one of those it has.",
    pool_empty: "The desk has no deposit address left at the moment. Try again later.",
    too_fast: "That was too fast. Try again in a moment.",
    busy: "The desk is busy. Try again.",
    desk_unavailable: "The desk cannot give out addresses at the moment. Reload the page in a minute.",
    unknown_customer: "No deposit address was ever given out for this Skycoin address.",
    views_unavailable: "The desk's records cannot be read at the moment. Try again.",

    your_deposits: "Your deposits",
    paid_out_to: "Paid out to",
    send_to: "Send Bitcoin to",
    copy: "Copy",
    copied: "Copied",
    open_wallet: "Open in a wallet",
    qr_code_of: |address| format!("QR code of {address}"),
    keep_link: "Keep the address of this page: it shows where your deposits stand.",
    another_address: "Get another deposit address",
    earlier_addresses: "Earlier deposit addresses, which still work",
    deposits: "Deposits",
    waiting: "Waiting for a deposit.",
    look_again: "Look again",
    stale: "No connection to the desk: what you see may be old. Trying again.",
    silenced: |since| {
        format!(
            "A subscription that you made on {since} is disabled: nothing is sent there. Subscribe the same address again to be told there."
        )
    },
    last_news: "Last news {} s ago.",
    changed: "Changed",
    owed_back: "Owed back",
    owed_back_rest: "What of the deposit could not be spent; the desk's operator pays it back.",
    held_next: "Somebody at the desk looks at it and decides; nothing is lost.",

    step_done: "done",
    step_now: "now",
    step_later: "to come",
    step_stopped: "stopped",

    steps: Steps {
        seen: "Seen",
        confirmed: "Confirmations",
        confirmations: |deep, required| format!("{deep} of {required}"),
        not_mined: "not in a block yet",
        decided: "Decision",
        at_rate: |rate| format!("at {rate} SKY for 1 BTC"),
        by_exchange: "to be bought on the exchange",
        bought: "Purchase",
        filled: |spent, amount, percent| format!("{percent} %: {spent} of {amount} BTC"),
        sent: "Payout",
        final_: "Final",
        ended: "Ended",
    },

    status: Statuses {
        seen: "Seen, waiting to be mined",
        confirming: |deep, required| format!("Waiting for confirmation {deep} of {required}"),
        confirming_unknown: "Waiting for confirmations",
        quarantined: "Received on an address that is not in use; ask the operator",
        received: "Received",
        buying: "Buying SKY on the exchange",
        sending: "Sending SKY",
        not_buying: "Waiting: the desk is not buying at the moment; your deposit is safe",
        not_sending: "Waiting: the desk is not paying out at the moment; your deposit is safe",
        sent: "Sent, waiting for its confirmation",
        held: "Held; the operator is looking at it",
        below_minimum: "Held: less than the desk deals in",
        above_maximum: "Held: more than the desk deals in",
        payout_above_maximum: "Held: more than is paid out without the operator",
        orphaned: "Its block left the chain; waiting to be mined again",
        mined_again: |deep, required| format!("Mined again: waiting for confirmation {deep} of {required}"),
        mined_again_unknown: "Mined again: waiting for confirmations",
        refund_due: "To be paid back",
        paid: "Paid out",
        refunded: "Paid back",
        vanished: "The transaction never came to be",
        written_off: "Its coins were spent elsewhere; nothing is paid out",
        failed: "Ended without a payout",
    },

    letters: Letters {
        confirm_title: "Do you want to hear of deposits?",
        confirm: "You are told whenever a deposit for the address that you, or somebody else, named moves on.",
        confirm_button: "Yes, tell me",
        confirmed: "You will be told from now on.",
        leave_title: "Do you want to hear no more?",
        leave: "Nothing is sent to you any more. What the desk owes is paid all the same.",
        leave_button: "Send nothing more",
        left: "You will hear no more of this.",
        done: "Done",
        not_done: "Not done",
        unknown_code: "This link does not fit, or no longer: one to confirm by holds for an hour. Nothing was done.",
        too_many: "There are as many subscriptions as there may be. Nothing was done.",
        refused: "The subscription is over, or was changed since the letter was sent. Nothing was done.",
        unavailable: "The desk cannot do this at the moment. Try again.",
    },

    no_page: "There is no such page",
    way_home: "To the first page",
    stands_still: "The desk is not paying out at the moment. What is deposited is safe, and is paid out when it goes on.",
    newer_log: "The desk's records were written by a newer version of it. What was known is shown, no address is given out and nothing is paid out until that version runs again; no deposit is lost.",
    newer_unknown: |unknown| format!("What this version does not know: {unknown}."),
    cannot_write: |why| {
        format!(
            "The desk cannot write at the moment: {why}. No address is given out and nothing is paid out until it can; it goes on by itself then, and no deposit is lost."
        )
    },
    may_be_old: |why| {
        format!("What you see may be old: {why}. No deposit is lost, and the desk shows it as soon as it can.")
    },
    disk_full: "the disk is full",
    disk_read_only: "the disk is read-only",
    disk_failing: "the disk fails (input/output error)",
    starting_title: "Millrace is starting",
    starting: "The desk is starting; try again in a moment.",
    restarting_title: "The core is restarting",
    restarting: "The desk's core ended and is being started again; it goes on where it stopped. This page looks again by itself.",
    failing: |times| {
        format!(
            "The desk's core ended and did not come up again {times} times so far; it is started again and again, and goes on where it stopped. No deposit is lost."
        )
    },
};

fn one_or_many(number: u64, one: &'static str, many: &'static str) -> &'static str {
    if number == 1 { one } else { many }
}

fn confirmations(number: u64) -> String {
    format!("{number} {}", one_or_many(number, "confirmation", "confirmations"))
}
