//! What customers may ask, and the shapes of it.

use super::history::{self, CURSOR, UNKNOWN_EVENT_TYPE};
use super::refusals::{BIND, BODY, KEY, PACE, PATH, QUERY, Refusal, TARGET, VIEWS};
use super::{Answer, Operation, Shape, Source, get, post};

const TELLER: &str = include_str!("../public/teller.rs");
const REGISTRATION: &str = include_str!("../public/registration.rs");
const SUBSCRIBE: &str = include_str!("../public/subscribe.rs");
const V1: &str = include_str!("../public/v1.rs");
const SHAPE: &str = include_str!("../public/shape.rs");
const MILESTONES: &str = include_str!("../../../../actors/src/projection/milestones.rs");
const QUOTE: &str = include_str!("../../quote.rs");

pub(super) const OPERATIONS: &[Operation] = &[
    Operation {
        headers: &["Idempotency-Key"],
        refusals: &[BODY, TARGET, MISSING_ADDRESS, KEY, BIND, PACE],
        ..post(
            "/api/bind",
            "Give out a deposit address for a Skycoin address.",
            Some("TellerBind"),
            Answer::Json("TellerBound"),
        )
    },
    Operation {
        query: &["skyaddr*"],
        refusals: &[QUERY, TARGET, MISSING_ADDRESS, VIEWS, PACE],
        ..get("/api/status", "Where the deposits of a Skycoin address stand.", Answer::Json("TellerStatuses"))
    },
    Operation {
        query: &["user*", "cursor", "limit:rows or none", "type", "event", "coin", "offset"],
        refusals: &[QUERY, CURSOR, VIEWS, PACE],
        ..history::history("/api/history")
    },
    Operation { refusals: &[PACE], ..history::event_types("/api/v1/event-types") },
    Operation { refusals: &[PATH, UNKNOWN_EVENT_TYPE, PACE], ..history::event_type("/api/v1/event-types/{name}") },
    get("/api/config", "The desk's terms.", Answer::Json("TellerConfiguration")),
    get("/api/health", "Whether the desk and its parts are well.", Answer::Json("TellerHealth")),
    Operation {
        headers: &["Idempotency-Key"],
        refusals: &[BODY, TARGET, KEY, BIND, PACE],
        ..post(
            "/api/v1/bindings",
            "Give out a deposit address for a Skycoin address.",
            Some("Bind"),
            Answer::Made("Binding"),
        )
    },
    Operation {
        refusals: &[BODY, SUBSCRIPTION, PACE],
        ..post(
            "/api/v1/subscribe",
            "Tell an address of the deposits of one customer, as ton.events does. The hash is the SHA-256 of his Skycoin \
             address in hexadecimal digits, the data is the address to tell in base64, and the answer has the secret that \
             signs. Nothing is sent before the address answers `GET ?crc_token=…` rightly; asking again puts the question \
             again.",
            Some("SubscriptionWanted"),
            Answer::Accepted("SubscriptionTaken"),
        )
    },
    Operation {
        refusals: &[BODY, UNSUBSCRIPTION, PACE],
        ..post(
            "/api/v1/unsubscribe",
            "Tell an address no more. The signature is made with the secret as an `x-te-signature` is: the lower hexadecimal \
             HMAC-SHA256 of `hmacsha256=unsubscribe HASH DATA AT`, with hash, data and time (seconds since 1970, at most 300 \
             from the desk's) as they are sent. Whoever cannot sign learns nothing of whether there is such a subscription.",
            Some("SubscriptionUnwanted"),
            Answer::Nothing,
        )
    },
    Operation {
        refusals: &[BODY, REGISTERING, PACE],
        ..post(
            "/api/v1/registrations",
            "Ask a person whether he wants to be told of the deposits of one customer: at a mailbox, in a Telegram chat (its \
             number), or on an Android device (its registration token). The hash is the SHA-256 of the Skycoin address in \
             hexadecimal digits. Nothing but the question is sent before it is answered by the page it links to or by its code; \
             asked again it is put again, at most every ten minutes.",
            Some("RegistrationWanted"),
            Answer::Accepted("RegistrationTaken"),
        )
    },
    Operation {
        refusals: &[BODY, CODE, PACE],
        ..post(
            "/api/v1/registrations/confirm",
            "Say with the code of a question that it is wanted.",
            Some("RegistrationAnswer"),
            Answer::Json("RegistrationState"),
        )
    },
    Operation {
        refusals: &[BODY, CODE, PACE],
        ..post(
            "/api/v1/registrations/leave",
            "Say with the code of the link in a notification that no more of it is wanted.",
            Some("RegistrationAnswer"),
            Answer::Json("RegistrationState"),
        )
    },
    Operation {
        refusals: &[PATH, TARGET, UNKNOWN_CUSTOMER, VIEWS, PACE],
        ..get("/api/v1/customers/{target}", "Everything of one Skycoin address.", Answer::Json("Customer"))
    },
    Operation {
        refusals: &[PATH, TARGET, UNKNOWN_CUSTOMER, VIEWS, PACE],
        ..get(
            "/api/v1/customers/{target}/live",
            "The same, again whenever it changes; the events are named `customer`.",
            Answer::Events("Customer"),
        )
    },
    Operation {
        refusals: &[PATH, &[(404, &["unknown_deposit"])], VIEWS, PACE],
        ..get("/api/v1/deposits/{id}", "One deposit.", Answer::Json("Deposit"))
    },
    Operation {
        query: &["amount:bitcoins", "payout:skycoins"],
        refusals: &[QUERY, NO_QUOTE, PACE],
        ..get(
            "/api/v1/quote",
            "What an amount of BTC would buy now, or how much a payout of SKY would cost; one of the two is said. Indicative, never \
             a promise: what is paid out is decided when the deposit has its confirmations.",
            Answer::Json("Quote"),
        )
    },
];

const NO_QUOTE: &[Refusal] =
    &[(400, &["invalid_amount"]), (422, &["amount_or_payout", "amount_out_of_range"]), (503, &["no_market"])];
const MISSING_ADDRESS: &[Refusal] = &[(400, &["missing_address"])];
const SUBSCRIPTION: &[Refusal] = &[
    (400, &["invalid_hash", "invalid_url"]),
    (409, &["too_many_subscriptions"]),
    (503, &["busy", "desk_unavailable"]),
];
const UNSUBSCRIPTION: &[Refusal] = &[
    (400, &["invalid_hash", "invalid_url"]),
    (403, &["not_proved"]),
    (422, &["stale_signature"]),
    (503, &["busy", "desk_unavailable"]),
];
const REGISTERING: &[Refusal] = &[
    (400, &["invalid_hash"]),
    (409, &["channel_unavailable", "not_allowed", "too_many_subscriptions"]),
    (422, &["invalid_address", "unsupported_platform"]),
    (503, &["busy", "desk_unavailable"]),
];
const CODE: &[Refusal] = &[(404, &["unknown_code"]), (409, &["not_allowed"]), (503, &["busy", "desk_unavailable"])];
const UNKNOWN_CUSTOMER: &[Refusal] = &[(404, &["unknown_customer"])];

pub(super) const SHAPES: &[Shape] = &[
    history::HISTORY_LINE,
    history::EVENT_TYPES_SHAPE,
    history::EVENT_TYPE,
    Shape {
        name: "TellerBind",
        fields: &[("skyaddr", "string"), ("coin_type", "string")],
        source: Source::Struct("Bind", TELLER),
    },
    Shape {
        name: "TellerBound",
        fields: &[("deposit_address", "string"), ("coin_type", "string"), ("buy_method", "string")],
        source: Source::Struct("Bound", TELLER),
    },
    Shape {
        name: "TellerStatuses",
        fields: &[("statuses", "[TellerStatus]?")],
        source: Source::Struct("Statuses", TELLER),
    },
    Shape {
        name: "TellerStatus",
        fields: &[("seq", "integer"), ("updated_at", "integer"), ("status", "string"), ("coin_type", "string")],
        source: Source::Struct("Status", TELLER),
    },
    Shape {
        name: "TellerConfiguration",
        fields: &[
            ("enabled", "boolean"),
            ("buy_method", "string"),
            ("max_bound_addrs", "integer"),
            ("max_decimals", "integer"),
            ("deposits", "TellerCoins"),
        ],
        source: Source::Struct("Configuration", TELLER),
    },
    Shape {
        name: "TellerCoins",
        fields: &[("btc", "TellerCoin"), ("eth", "TellerCoin"), ("sky", "TellerCoin")],
        source: Source::Struct("Coins", TELLER),
    },
    Shape {
        name: "TellerCoin",
        fields: &[
            ("enabled", "boolean"),
            ("confirmations_required", "integer"),
            ("fixed_exchange_rate", "string"),
            ("passthrough_minimum_volume", "string"),
        ],
        source: Source::Struct("Coin", TELLER),
    },
    Shape {
        name: "TellerHealth",
        fields: &[
            ("status", "string"),
            ("application", "string"),
            ("version", "string"),
            ("uptime", "string"),
            ("exchange", "TellerExchange"),
            ("parts", "[object]"),
        ],
        source: Source::Struct("Health", TELLER),
    },
    Shape {
        name: "TellerExchange",
        fields: &[
            ("buy_method", "string"),
            ("processor_error", "string"),
            ("sender_error", "string"),
            ("balance", "TellerBalance"),
            ("deposit_error_count", "integer"),
        ],
        source: Source::Struct("Exchange", TELLER),
    },
    Shape {
        name: "TellerBalance",
        fields: &[("coins", "decimal"), ("hours", "string"), ("as_of", "time?")],
        source: Source::Struct("Balance", TELLER),
    },
    Shape { name: "Bind", fields: &[("target", "string"), ("coin", "=BTC")], source: Source::Body("Bind", V1) },
    Shape {
        name: "Binding",
        fields: &[("address", "string"), ("coin", "string"), ("target", "string"), ("method", "string")],
        source: Source::Struct("Binding", V1),
    },
    Shape {
        name: "SubscriptionWanted",
        fields: &[("hash", "hash"), ("data", "string")],
        source: Source::Body("SubscriptionWanted", SUBSCRIBE),
    },
    Shape {
        name: "SubscriptionUnwanted",
        fields: &[("hash", "hash"), ("data", "string"), ("at", "seconds"), ("signature", "string")],
        source: Source::Body("SubscriptionUnwanted", SUBSCRIBE),
    },
    Shape {
        name: "SubscriptionTaken",
        fields: &[("secret", "string")],
        source: Source::Struct("SubscriptionTaken", SUBSCRIBE),
    },
    Shape {
        name: "RegistrationWanted",
        fields: &[
            ("hash", "hash"),
            ("channel", "=email|telegram|push"),
            ("address", "string"),
            ("platform", "string?"),
        ],
        source: Source::Body("RegistrationWanted", REGISTRATION),
    },
    Shape {
        name: "RegistrationTaken",
        fields: &[("confirm_within_s", "integer")],
        source: Source::Struct("RegistrationTaken", REGISTRATION),
    },
    Shape {
        name: "RegistrationAnswer",
        fields: &[("subscription", "uuid"), ("code", "string")],
        source: Source::Body("RegistrationAnswer", REGISTRATION),
    },
    Shape {
        name: "RegistrationState",
        fields: &[("state", "=confirmed|ended")],
        source: Source::Struct("RegistrationState", REGISTRATION),
    },
    Shape {
        name: "Customer",
        fields: &[
            ("target", "string"),
            ("addresses", "[Address]"),
            ("deposits", "[Deposit]"),
            ("subscriptions", "[CustomerSubscription]"),
        ],
        source: Source::Struct("Customer", SHAPE),
    },
    Shape {
        name: "CustomerSubscription",
        fields: &[
            ("subscription", "uuid"),
            ("state", "=served|unproved|paused|disabled"),
            ("why", "string?"),
            ("subscribed_at", "time"),
        ],
        source: Source::Struct("Subscription", SHAPE),
    },
    Shape {
        name: "Address",
        fields: &[("address", "string"), ("coin", "string"), ("bound_method", "string"), ("bound_at", "time")],
        source: Source::Struct("Address", SHAPE),
    },
    Shape {
        name: "Deposit",
        fields: &[
            ("id", "uuid"),
            ("status", "string"),
            ("status_text", "string"),
            ("coin", "string"),
            ("amount", "decimal"),
            ("address", "string"),
            ("txid", "string"),
            ("output_index", "integer"),
            ("confirmations", "integer"),
            ("confirmations_required", "integer"),
            ("method", "string?"),
            ("rate", "decimal?"),
            ("spent", "decimal?"),
            ("bought", "decimal?"),
            ("filled", "decimal?"),
            ("payout_coin", "string"),
            ("payout", "decimal?"),
            ("payout_txid", "string?"),
            ("refund", "decimal?"),
            ("held", "any"),
            ("outcome", "string?"),
            ("milestones", "Milestones"),
            ("detected_at", "time"),
            ("updated_at", "time"),
        ],
        source: Source::Struct("Deposit", SHAPE),
    },
    Shape {
        name: "Milestones",
        fields: &[
            ("mined_at", "time?"),
            ("received_at", "time?"),
            ("decided_at", "time?"),
            ("bought_at", "time?"),
            ("sent_at", "time?"),
            ("stopped_at", "time?"),
            ("ended_at", "time?"),
        ],
        source: Source::Struct("Milestones", MILESTONES),
    },
    Shape {
        name: "Quote",
        fields: &[
            ("method", "string"),
            ("amount", "decimal"),
            ("payout", "decimal"),
            ("rate", "decimal"),
            ("basis", "=fixed_rate|watched_book"),
            ("holds", "=until_changed|this_moment"),
            ("confirmations", "integer"),
            ("fees", "QuoteFees"),
            ("bounds", "QuoteBounds"),
            ("at", "time"),
            ("book_age_ms", "integer?"),
            ("indicative", "boolean"),
        ],
        source: Source::Struct("Quote", QUOTE),
    },
    Shape {
        name: "QuoteFees",
        fields: &[("desk", "decimal"), ("exchange", "decimal"), ("rounding", "decimal"), ("unspent", "decimal")],
        source: Source::Struct("Fees", QUOTE),
    },
    Shape {
        name: "QuoteBounds",
        fields: &[
            ("minimum", "decimal"),
            ("maximum", "decimal"),
            ("payout_maximum", "decimal"),
            ("available", "decimal?"),
        ],
        source: Source::Struct("Bounds", QUOTE),
    },
];
