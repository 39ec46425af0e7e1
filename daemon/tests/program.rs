//! The `millrace` program, run as a user runs it.

use std::path::Path;
use std::process::{Command, Output};

fn millrace(folder: &Path, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_millrace"));
    program.args(arguments).current_dir(folder).env_clear().env("RUST_BACKTRACE", "1");
    program.output().expect("the program was built for this test")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("the program prints UTF-8")
}

#[test]
fn the_exit_code_tells_what_kind_of_failure_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let tls = "[public]\ntls_certificate = \"no.pem\"\ntls_key = \"no.key\"\n";
    let list = "[desk]\nrate = 1\n[bitcoin]\nurl = \"http://127.0.0.1:1\"\naddress_file = \"list.txt\"\n\
                [skycoin]\nurl = \"http://127.0.0.1:1\"\nwallet_id = \"w\"\n";
    let files = [("bad.toml", "[desk]\nrat = 1\n"), ("tls.toml", tls), ("list.toml", list), ("list.txt", "nonsense\n")];
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    for (arguments, code, out, err) in [
        (&["version"][..], 0, "millrace ", ""),
        (&["--help"], 0, "Examples:", ""),
        (&["check-config"], 0, "data_dir = \"millrace-data\"", ""),
        (&["completions", "bash"], 0, "_millrace()", ""),
        (&["no-such-thing"], 64, "", "no-such-thing"),
        (&["deposit", "show", "no-id"], 64, "", "no-id"),
        (&["--config", "bad.toml", "check-config"], 78, "", "bad.toml:2: desk.rat: no such setting"),
        (&["--config", "missing.toml"], 78, "", "missing.toml: cannot be read"),
        (&["--config", "tls.toml", "check-config"], 78, "", "tls.toml:2: public.tls_certificate: "),
        (&["--config", "tls.toml", "run"], 78, "", "tls.toml:2: public.tls_certificate: "),
        (&["--config", "list.toml", "check-config"], 78, "", "list.toml:5: bitcoin.address_file: list.txt: line 1: "),
        (&["--config", "list.toml", "run"], 78, "", "list.toml:5: bitcoin.address_file: list.txt: line 1: "),
        (&["deposits"], 1, "", "has the desk been started"),
    ] {
        let output = millrace(folder.path(), arguments);
        let (printed, complained) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {complained}");
        assert!(printed.contains(out) && complained.contains(err), "{arguments:?}: {printed}\n{complained}");
        assert!(!complained.contains("stack backtrace") && !complained.contains("main.rs"), "{complained}");
    }
    assert_eq!(
        std::fs::read_dir(folder.path()).expect("the folder").count(),
        files.len(),
        "asking leaves nothing behind"
    );
}
