//! The console as a browser goes to it: where it is, how one logs in, and all of its pages.

use anyhow::{Context, Result};
use millrace_daemon::web::address;

use crate::desk::Desk;
use crate::peers::browser::Page;

/// Where this desk's console is, without a slash at its end.
pub fn console(desk: &Desk) -> Result<String> {
    let address = address::find(&desk.data_dir()).context("the desk did not leave its operator's address")?;
    Ok(format!("http://{address}/console"))
}

/// Somebody who has logged in and sees the overview.
pub fn logged_in(page: Page, desk: &Desk) -> Result<Page> {
    let password = std::fs::read_to_string(desk.data_dir().join("operator.password"))?;
    Ok(enter(page, &console(desk)?, password.trim()))
}

/// The same by where the console is.
pub fn enter(page: Page, console: &str, password: &str) -> Page {
    page.open(console)
        .fill("input[name=name]", "operator")
        .fill("input[type=password]", password)
        .click("main button")
        .wait_for_text("h1", "Overview")
}

/// Every page by its name, with its path within the console; those of one thing are of this deposit, receiver and notification.
pub fn pages(deposit: &str, receiver: &str, notification: &str) -> Vec<(&'static str, String)> {
    vec![
        ("overview", String::new()),
        ("deposits", "/deposits".to_owned()),
        ("deposit", format!("/deposits/{deposit}")),
        ("deposit-past", format!("/deposits/{deposit}?version=4")),
        ("past", "/past".to_owned()),
        ("log", "/log".to_owned()),
        ("event", "/log/12".to_owned()),
        ("graph", format!("/log/deposit/{deposit}")),
        ("parts", "/parts".to_owned()),
        ("projections", "/projections".to_owned()),
        ("notifications", "/notifications".to_owned()),
        ("receiver", format!("/notifications/{receiver}")),
        ("notification", format!("/notifications/told/{notification}")),
        ("money", "/money".to_owned()),
        ("rounds", "/money/rounds".to_owned()),
        ("settings", "/settings".to_owned()),
        ("audit", "/audit".to_owned()),
        ("account", "/account".to_owned()),
    ]
}
