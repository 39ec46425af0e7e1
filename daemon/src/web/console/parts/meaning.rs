//! What each part is for, in words for operators.

/// What it does.
pub(super) fn does(part: &str) -> &'static str {
    words(part).0
}

/// What stands still while it is not there.
pub(super) fn without(part: &str) -> &'static str {
    words(part).1
}

/// A part that is not named here has not been given words yet.
fn words(part: &str) -> (&'static str, &'static str) {
    match part {
        "desk" => (
            "The log and everybody who follows it.",
            "nothing is taken in, bought or paid out; pages show what was known.",
        ),
        "followers" => (
            "Everybody who acts upon the log, each on his own.",
            "what comes in is kept on the chain and found later; nothing is bought or paid out.",
        ),
        "event_store" => (
            "The one writer of the log. Every fact and every decision goes through it.",
            "nobody acts, since nobody acts without the log; deposits wait on the chain and are found when it is back.",
        ),
        "head_file" => (
            "Remembers outside the data folder how far the log was, so that a restored one is recognised.",
            "no deposit address is given out.",
        ),
        "projection" => ("Makes what pages and APIs show.", "pages show what was known until then; money moves on."),
        "operations" => (
            "Carries out what operators order, switches and halts among it.",
            "no order of an operator reaches the log, and a damage would not halt the desk.",
        ),
        "subscriptions" => (
            "Knows who wants to be told what.",
            "nobody can subscribe or unsubscribe; nothing is told; it is caught up with later.",
        ),
        "delivery" => (
            "Sends notifications to subscribers, again until they arrive.",
            "nobody is told; it is caught up with later.",
        ),
        "ownership" => (
            "Asks receivers for proof that they hold the secret.",
            "new hooks of customers are not confirmed, and daily questions are late.",
        ),
        "questions" => (
            "Asks people whether it is they who want to be told.",
            "new mailboxes, chats and devices are not confirmed.",
        ),
        "endings" => (
            "Disables subscriptions that cannot be told, and forgets idle ones.",
            "dead endpoints are tried for longer than they should be.",
        ),
        "relay" => ("Takes others' notifications from their queue.", "they stay in the queue and are taken later."),
        "auditor" => (
            "Reads the whole log against its hashes every day.",
            "a damage of the disk is found later, or by `millrace verify`.",
        ),
        "sealer" => ("Packs what is old of the log.", "the log takes more room; nothing else."),
        "stations" => (
            "Keeps the whole desk as it was at some moments, so that any moment is shown soon.",
            "looks at the past take longer.",
        ),
        "alerts" => (
            "Tells operators what is down and what runs low.",
            "`Desk.*` notifications of parts and balances do not come.",
        ),
        "sandbox" => (
            "The stand-ins of a Bitcoin node, a Skycoin node and an exchange, as a process of their own.",
            "there is no chain and no exchange; deposits wait.",
        ),
        "scanner" => (
            "Watches the Bitcoin chain for deposits.",
            "deposits are seen later; none is lost, since the chain keeps them.",
        ),
        "mempool" => (
            "Looks at what is not mined yet, so that customers see it at once.",
            "deposits are first shown when they are mined.",
        ),
        "binder" => ("Gives out deposit addresses.", "customers get no new address; those they have stay good."),
        "decider" => ("Decides what is done with a deposit that is final.", "deposits wait to be decided."),
        "market" => (
            "Reads the exchange's order book and balances.",
            "no purchase is decided, and no quote of the book is shown.",
        ),
        "buyer" => (
            "Buys at the exchange, one order at a time for each deposit.",
            "deposits wait to be bought for; orders that are open stay open and are read back later.",
        ),
        "sender" => (
            "Signs payouts and hands them to the Skycoin node.",
            "deposits wait to be paid out; what was signed is sent again, never twice.",
        ),
        "stock" => (
            "Reads what the hot wallet holds.",
            "the desk does not know whether it can pay, and gives no direct quotes.",
        ),
        "finality" => ("Waits until payouts are final.", "payouts are shown as on their way for longer."),
        "reconciler" => {
            ("Holds the books against the wallet, the addresses and the exchange.", "missing coins are noticed later.")
        }
        _ => ("A part of the desk.", "what it does waits until it is back."),
    }
}
