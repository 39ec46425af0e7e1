//! What a configuration may and may not say.

use millrace_actors::delivery::sinks::destination::Kind;
use millrace_actors::relay::kafka;

use super::*;

const EXAMPLE: &str = include_str!("../../../millrace.example.toml");
const XPUB: &str =
    "xpub6CatWdiZiodmUeTDp8LT5or8nmbKNcuyvz7WyksVFkKB4RHwCD3XyuvPEbvqAQY3rAPshWcMLoP2fMFMKHPJ4ZeZXYVUhLv1VMrjPC7PW6V";

/// A configuration without the sandbox in which everything required is there.
fn real() -> String {
    format!(
        "[desk]\nrate = \"500\"\n[bitcoin]\nurl = \"http://127.0.0.1:8332\"\nxpub = \"{XPUB}\"\n\
         [skycoin]\nurl = \"http://127.0.0.1:6420\"\nwallet_id = \"desk.wlt\"\n"
    )
}

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    parse(Path::new("desk.toml"), text, variables.iter().map(|(name, value)| (name.into(), value.into())))
}

fn config(text: &str, variables: &[(&str, &str)]) -> Config {
    read(text, variables).unwrap().config
}

fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    read(text, variables).unwrap_err().problems.iter().map(ToString::to_string).collect()
}

fn uncommented(markers: &[&str]) -> String {
    let line = |line: &'static str| -> &'static str {
        let body = markers.iter().find_map(|marker| line.strip_prefix(marker));
        body.filter(|body| body.starts_with(|first: char| first.is_ascii_lowercase())).unwrap_or(line)
    };
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// The tables of brokers that this program was built without, each with its closing bracket.
fn missing_brokers() -> impl Iterator<Item = String> {
    let sinks = Kind::ALL.into_iter().filter(|kind| !kind.is_compiled()).map(|kind| format!("{}]", kind.section()));
    sinks.chain((!kafka::IS_COMPILED).then(|| "relay]".to_owned()))
}

#[test]
fn the_example_shows_the_real_defaults() {
    let shown: String = uncommented(&["#"])
        .lines()
        .filter(|line| !line.starts_with("example: ") && !line.starts_with("alternative: "))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(shown.contains("\ndata_dir = "));
    let example = parse(Path::new("millrace.example.toml"), &shown, []).unwrap();
    let defaults = load(None, []).unwrap();
    assert_eq!(example.config, defaults.config);
    for (shown, default) in example.entries.iter().zip(&defaults.entries) {
        assert_eq!(shown.shown, default.shown, "{}.{}", shown.section, shown.key);
        let has_default = default.shown.is_some() && default.key != "network";
        assert_eq!(shown.origin != Layer::Default, has_default, "{}.{} in the example", shown.section, shown.key);
    }
}

#[test]
fn the_example_explains_every_setting() {
    for entry in load(None, []).unwrap().entries {
        let line = |marker: &str| format!("\n#{marker}{} = ", entry.key);
        let section = EXAMPLE.split("\n[").find(|part| part.starts_with(&format!("{}]", entry.section))).unwrap();
        let there = ["", "example: ", "alternative: "].iter().any(|marker| section.contains(&line(marker)));
        assert!(there, "{}.{}", entry.section, entry.key);
    }
}

#[test]
fn the_examples_of_settings_without_default_make_a_real_desk() {
    let text = uncommented(&["#example: "]).replace("[desk]", "[desk]\nrate = \"500\"");
    // A broker takes a program that was built with it.
    let sections = text.split("\n[").filter(|section| !missing_brokers().any(|name| section.starts_with(&name)));
    let text = sections.collect::<Vec<_>>().join("\n[");
    // What these name is read at once, and is not here.
    let is_a_file = |line: &&str| line.starts_with("authority = ") || line.starts_with("service_account = ");
    let text = text.lines().filter(|line| !is_a_file(line)).collect::<Vec<_>>().join("\n");
    let config = config(&text, &[]);
    assert!(!config.sandbox.enabled && config.people.mail.smtp.is_some() && config.people.telegram.token.is_some());
    assert_eq!(config.bitcoin.network, bitcoin::Network::Bitcoin);
    assert_eq!(config.public.tls().unwrap().key, Path::new("key.pem"));
    assert_eq!(config.c2cx.url.unwrap().as_str(), "https://api.c2cx.com/v1/");
}

#[test]
fn without_any_file_the_desk_runs_in_the_sandbox() {
    let config = load(None, []).unwrap().config;
    assert!(config.sandbox.enabled);
    assert_eq!(config.bitcoin.network, bitcoin::Network::Regtest);
    assert_eq!(config.desk.rate.unwrap().to_string(), "500");
    assert_eq!(config.sandbox.dir, Path::new("millrace-data/sandbox"));
    assert!(config.public.listen.ip().is_loopback() && config.operator.listen.ip().is_loopback());
}

#[test]
fn a_variable_wins_over_the_file_and_the_file_over_the_default() {
    let text = "[desk]\nrate = \"400\"\npayout_decimals = 2\n";
    let loaded = read(text, &[("MILLRACE_DESK__RATE", "2/3"), ("PATH", "/bin"), ("MILLRACE_CONFIG", "x")]).unwrap();
    assert_eq!(loaded.config.desk.rate.unwrap().to_string(), "0.66666666");
    assert_eq!(loaded.config.desk.payout_decimals, 2);
    let effective = loaded.effective();
    let lines: Vec<&str> = effective.lines().collect();
    let line = |start: &str| *lines.iter().find(|line| line.starts_with(start)).unwrap();
    assert!(line("rate = \"0.66666666\" ").ends_with("# MILLRACE_DESK__RATE"));
    assert!(line("payout_decimals = 2 ").ends_with("# desk.toml:3"));
    assert!(line("send_enabled = true ").ends_with("# default"));
}

#[test]
fn the_log_can_be_set_by_its_short_variable() {
    assert_eq!(config("", &[("MILLRACE_LOG", "debug")]).desk.log.as_str(), "debug");
    assert_eq!(problems("", &[("MILLRACE_LOG", "no=such=level")]).len(), 1);
}

#[test]
fn relative_paths_in_the_file_are_relative_to_the_file() {
    let loaded = parse(Path::new("/etc/millrace/desk.toml"), "[desk]\ndata_dir = \"data\"", []).unwrap();
    assert_eq!(loaded.config.operator.token_file, Path::new("/etc/millrace/data/operator.token"));
    let variable = ("MILLRACE_DESK__DATA_DIR".into(), "data".into());
    let loaded = parse(Path::new("/etc/millrace/desk.toml"), "", [variable]).unwrap();
    assert_eq!(loaded.config.desk.data_dir, Path::new("data"));
}

#[test]
fn the_head_file_is_beside_the_data_folder_unless_it_is_set() {
    for (data_dir, beside) in [
        ("millrace-data", "millrace-data.head"),
        ("/var/lib/desk/", "/var/lib/desk.head"),
        ("../data.d", "../data.d.head"),
        (".", "./../millrace.head"),
        ("..", "../../millrace.head"),
    ] {
        assert_eq!(config("", &[("MILLRACE_DESK__DATA_DIR", data_dir)]).desk.head_file, Path::new(beside));
    }
    let set = config("", &[("MILLRACE_DESK__HEAD_FILE", "/srv/millrace.head")]);
    assert_eq!(set.desk.head_file, Path::new("/srv/millrace.head"));
}

#[test]
fn every_mistake_is_reported_at_once_with_its_line_or_variable() {
    let text = "[desk]\nrate = \"12k\"\npayout_decimals = 7\ncolour = 1\n[public]\nlisten = 7071\n[coins]\nx = 1\n";
    let found = problems(text, &[("MILLRACE_BITCOIN__CONFIRMATIONS", "0"), ("MILLRACE_DESK__COLOR", "red")]);
    let expected = [
        "desk.toml:2: desk.rate: a rate is an integer",
        "desk.toml:3: desk.payout_decimals: must be from 0 to 3",
        "desk.toml:6: public.listen: expected a text in quotes, found a TOML integer",
        "MILLRACE_BITCOIN__CONFIRMATIONS: bitcoin.confirmations: must be from 1 to 1000",
        "desk.toml:7: coins: no such section",
        "desk.toml:4: desk.colour: no such setting; [desk] has bind_enabled, data_dir",
        "MILLRACE_DESK__COLOR: no such setting",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for start in expected {
        assert!(found.iter().any(|problem| problem.starts_with(start)), "{start} in {found:#?}");
    }
    let lines: Vec<_> =
        found.iter().filter_map(|problem| problem.strip_prefix("desk.toml:")?.split(':').next()).collect();
    assert_eq!(lines, ["2", "3", "4", "6", "7"], "from top to bottom");
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_the_line() {
    assert!(problems("[desk]\nrate = = 5\n", &[])[0].starts_with("desk.toml:2: "));
    let missing = load(Some(Path::new("/no/such/file.toml")), []).unwrap_err().to_string();
    assert!(missing.contains("/no/such/file.toml") && missing.contains("--config"), "{missing}");
}

#[test]
fn a_variable_with_one_underscore_is_pointed_out_and_a_strangers_is_not() {
    let found = problems("", &[("MILLRACE_DESK_RATE", "1"), ("MILLRACE_SERVICE_HOST", "10.0.0.1")]);
    assert_eq!(found, ["MILLRACE_DESK_RATE: write MILLRACE_DESK__RATE (two underscores)"]);
}

#[test]
fn numbers_are_exact_however_they_are_written() {
    let config = config("[desk]\nminimum_deposit = 0.00000001\nmaximum_deposit = 21\nrate = 0.1\n", &[]);
    assert_eq!(config.desk.minimum_deposit.units(), 1);
    assert_eq!(config.desk.maximum_deposit.units(), 2_100_000_000);
    for wrong in ["0.000000001", "-1", "1e3", "\"lots\"", "true", "0x10", "99999999999999999999"] {
        let found = problems(&format!("[desk]\nminimum_deposit = {wrong}\n"), &[]);
        assert!(found[0].starts_with("desk.toml:2: desk.minimum_deposit: "), "{wrong}: {found:?}");
    }
}

/// S4: the operator's listener on another address than loopback is refused, unless it is allowed in words.
#[test]
fn impossible_values_are_refused() {
    for (text, key) in [
        ("[desk]\nminimum_deposit = \"2\"\nmaximum_deposit = \"1\"", "desk.toml:2: desk.minimum_deposit"),
        ("[desk]\nmaximum_deposit = \"0.0001\"", "desk.toml:2: desk.minimum_deposit"),
        ("[desk]\nmaximum_payout = \"0\"", "desk.toml:2: desk.maximum_payout: holds every payout"),
        ("[desk]\nmaximum_payout = \"2.499\"", "desk.toml:2: desk.maximum_payout: holds every payout"),
        ("[desk]\nmax_addresses_per_target = 0", "desk.toml:2: desk.max_addresses_per_target"),
        ("[bitcoin]\nconfirmations = 1001", "desk.toml:2: bitcoin.confirmations"),
        ("[bitcoin]\nnetwork = \"bitcoin\"", "desk.toml:2: bitcoin.network"),
        ("[bitcoin]\nuser = \"me\"", "bitcoin.password: is missing"),
        ("[skycoin]\npoll_ms = 0", "desk.toml:2: skycoin.poll_ms"),
        ("[operator]\nlisten = \"0.0.0.0:7711\"", "desk.toml:2: operator.listen: is not a loopback"),
        ("[operator]\nlisten = \"127.0.0.1:7071\"", "desk.toml:2: operator.listen: is the same as public.listen"),
        ("[public]\ntls_key = \"key.pem\"", "desk.toml:2: public.tls_key: needs public.tls_certificate"),
        ("[public]\nurl = \"ftp://desk.example.org\"", "desk.toml:2: public.url: expected a URL"),
        ("[public]\nurl = \"https://desk.example.org/?x\"", "desk.toml:2: public.url: has a query"),
        ("[public]\nbehind_proxy = true\ntrusted_proxies = []", "desk.toml:2: public.behind_proxy"),
        ("[public]\ncors_allowed = [\"example.org/x\"]", "desk.toml:2: public.cors_allowed"),
        ("[c2cx]\nmax_slippage_percent = \"51\"", "desk.toml:2: c2cx.max_slippage_percent"),
        ("[desk]\nhead_file = \"millrace-data/head\"", "desk.toml:2: desk.head_file: is in desk.data_dir"),
        ("[desk]\nkeys_file = \"millrace-data/log.db\"", "desk.toml:2: desk.keys_file: is another file of the desk's"),
        ("[desk]\ndata_dir = \"d\"\nhead_file = \"d\"", "desk.toml:3: desk.head_file: is in desk.data_dir"),
        ("desk = 1", "desk.toml:1: desk"),
    ] {
        let found = problems(text, &[]);
        assert!(found.len() == 1 && found[0].starts_with(key), "{text}: {found:#?}");
    }
    assert!(config("[operator]\nlisten = \"10.0.0.1:7711\"\nallow_remote = true", &[]).operator.allow_remote);
}

#[test]
fn outside_the_sandbox_everything_it_would_bring_is_required() {
    assert!(!config(&real(), &[]).sandbox.enabled);
    let found = problems(&format!("{}\n[public]\nurl = \"http://desk.example.org\"\n", real()), &[]).join("\n");
    assert!(found.contains("public.url: is in the letters of customers"), "{found}");
    let found = problems("[sandbox]\nenabled = false\n", &[]).join("\n");
    for key in ["desk.rate", "bitcoin.url", "bitcoin.xpub", "skycoin.url", "skycoin.wallet_id"] {
        assert!(found.contains(&format!("{key}: is missing")), "{key} in {found}");
    }
    let found = problems(&real().replace("rate = \"500\"", "method = \"passthrough\""), &[]).join("\n");
    for key in ["c2cx.url", "c2cx.key", "c2cx.secret"] {
        assert!(found.contains(&format!("{key}: is missing")), "{key} in {found}");
    }
    assert!(found.contains("or set MILLRACE_C2CX__KEY"), "{found}");
}

#[test]
fn the_sandbox_and_a_real_node_exclude_each_other() {
    let found = problems(&format!("{}\n[sandbox]\nenabled = true\n", real()), &[]);
    let both: Vec<_> = found.iter().filter(|problem| problem.contains("although sandbox.enabled is true")).collect();
    assert!(both.len() == 2 && both[0].starts_with("desk.toml:4: bitcoin.url"), "{found:#?}");
}

#[test]
fn a_key_of_another_network_or_a_private_one_is_refused_and_not_repeated() {
    let found = problems(&real().replace("[skycoin]", "network = \"regtest\"\n[skycoin]"), &[]);
    assert!(found.len() == 1 && found[0].starts_with("desk.toml:5: bitcoin.xpub: is of another network"), "{found:?}");
    let private = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
    let found = problems(&real().replace(XPUB, private), &[]).join("\n");
    assert!(found.contains("PRIVATE") && !found.contains("9s21"), "{found}");
}

/// S1: the configuration in force is shown without its secrets.
#[test]
fn secrets_are_never_shown() {
    let text = format!(
        "{}[c2cx]\nurl = \"https://api.example.org\"\nkey = \"hush-key\"\nsecret = \"hush-secret\"\n",
        real()
            .replace("[skycoin]", "user = \"me\"\npassword = \"hush-password\"\n[skycoin]\nwallet_password = \"hush\"")
    );
    let loaded = read(&text, &[]).unwrap();
    assert_eq!(loaded.config.bitcoin.password.as_ref().unwrap().reveal(), "hush-password");
    let shown = format!("{}\n{loaded:?}\n{loaded:#?}", loaded.effective());
    assert!(shown.contains("password = \"[secret]\"") && !shown.contains("hush"), "{shown}");
    let found = problems("[c2cx]\nkey = [\"hush\"]\nurl = \"https://me:hush@api.example.org\"", &[]).join("\n");
    assert!(found.contains("c2cx.url: has a user or password") && !found.contains("hush"), "{found}");
}

#[test]
fn a_secret_can_stand_in_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "from the file\n").unwrap();
    let text = real().replace("[skycoin]", "user = \"me\"\npassword_file = \"password\"\n[skycoin]");
    let read_here = |variables: &[(&str, &str)]| {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        parse(&folder.path().join("desk.toml"), &text, variables)
    };
    assert_eq!(read_here(&[]).unwrap().config.bitcoin.password.unwrap().reveal(), "from the file");
    let variable = ("MILLRACE_BITCOIN__PASSWORD", "from the variable");
    assert_eq!(read_here(&[variable]).unwrap().config.bitcoin.password.unwrap().reveal(), "from the variable");
    std::fs::write(&path, "\n").unwrap();
    let found = read_here(&[]).unwrap_err().to_string();
    assert!(found.contains("bitcoin.password_file") && found.contains("is empty"), "{found}");
    let both = problems(&text.replace("password_file", "password = \"x\"\npassword_file"), &[]).join("\n");
    assert!(both.contains("bitcoin.password: is given, and password_file too"), "{both}");
}

#[test]
fn proxies_are_trusted_only_behind_a_proxy() {
    assert!(config("", &[]).public.proxies().is_empty());
    let variables = [("MILLRACE_PUBLIC__BEHIND_PROXY", "true"), ("MILLRACE_PUBLIC__TRUSTED_PROXIES", "10.1.2.3, ::1")];
    assert_eq!(config("", &variables).public.proxies().len(), 2);
}

#[test]
fn orders_are_not_sent_unencrypted_to_another_machine() {
    let c2cx = |url: &str| format!("{}[c2cx]\nurl = \"{url}\"\nkey = \"k\"\nsecret = \"s\"\n", real());
    assert!(problems(&c2cx("http://api.example.org"), &[])[0].contains("https://"));
    assert!(read(&c2cx("http://[::1]:4000/v1/"), &[]).is_ok());
}

#[test]
fn a_broker_needs_a_fitting_address_and_a_program_that_was_built_with_it() {
    assert!(config("", &[]).notify.brokers().iter().all(|(kind, broker)| broker.settings(*kind).unwrap().is_none()));
    for kind in [Kind::Nats, Kind::Amqp, Kind::Mqtt] {
        let section = |lines: &str| format!("[{}]\n{lines}\n", kind.section());
        let found = problems(&section("url = \"https://broker.example\""), &[]).join("\n");
        assert!(found.contains(&format!("{}.url: begins with neither", kind.section())), "{found}");
        let found =
            problems(&section("url = \"https://broker.example\"\nauthority = \"/nowhere.pem\""), &[]).join("\n");
        assert!(found.contains("/nowhere.pem cannot be read"), "{found}");
        let found = problems(&section("authority = \"/nowhere.pem\""), &[]).join("\n");
        assert!(found.contains(&format!("{0}.authority: is given without {0}.url", kind.section())), "{found}");
        let word = ("MILLRACE_NOTIFY__NATS__PASSWORD", "hush");
        let url = format!("url = \"{}://broker.example:1\"", kind.scheme());
        match read(&section(&url), &[]) {
            Ok(loaded) => assert!(kind.is_compiled() && loaded.effective().contains(kind.section())),
            Err(error) => assert!(!kind.is_compiled() && error.to_string().contains(kind.feature()), "{error}"),
        }
        assert!(problems(&section("password = \"hush\""), &[])[0].contains("is given without"));
        assert!(!problems(&section("url = \"nats://me:hush@broker\""), &[word]).join("\n").contains("hush"));
    }
    assert!(problems("", &[("MILLRACE_NOTIFY__NATS__USER", "me")]).join("\n").contains("notify.nats.password"));
}

#[test]
fn what_no_table_inside_another_has_is_refused_with_its_line() {
    let found = problems("[notify.nats]\nurls = \"x\"\n[notify.smoke]\na = 1\n[notify]\nb = 1\n", &[]);
    assert!(
        found[0].starts_with("desk.toml:2: notify.nats.urls: no such setting; [notify.nats] has authority, password"),
        "{found:#?}"
    );
    assert!(found[1].starts_with("desk.toml:3: notify.smoke: no such section"), "{found:#?}");
    assert!(found[2].starts_with("desk.toml:6: notify.b: no such section"), "{found:#?}");
}
