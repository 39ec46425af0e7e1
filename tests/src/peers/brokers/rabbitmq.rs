//! RabbitMQ: slow to begin, and a family of processes.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use rustix::process::{Pid, Signal, kill_process_group};

use super::super::program::Program;
use super::super::{Missing, or_skip};
use super::{BEGINS_WITHIN, Certificate};

const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const PORT_MAPPER: &str = "/usr/bin/epmd";
/// A quarter of a minute on an idle machine.
const SERVES_WITHIN: Duration = Duration::from_secs(120);

/// The ports that a broker of RabbitMQ has.
#[derive(Debug, Clone, Copy)]
pub struct RabbitPorts {
    /// Of AMQP.
    pub amqp: u16,
    /// Of AMQP, encrypted.
    pub encrypted: u16,
    /// Of Erlang's own network.
    pub distribution: u16,
    /// Of what tells Erlang's programs of each other.
    pub mapper: u16,
}

/// A running broker. All its processes end with it.
pub struct RabbitMq {
    server: Program,
    _port_mapper: Program,
}

impl RabbitMq {
    /// Whether it is installed; `None` when not and nobody requires it.
    pub fn installed() -> Option<()> {
        let is_there = Path::new(SERVER).is_file() && super::in_venv("python").is_file();
        or_skip(is_there.then_some(()).ok_or(Missing { program: "rabbitmq-server (Debian)" }))
    }

    /// Begins one that keeps what it has in this folder.
    pub async fn start(ports: RabbitPorts, folder: &Path, certificate: &Certificate) -> Result<Self> {
        // One of its own in front: the broker would leave one behind.
        let mapper = ports.mapper.to_string();
        let mut port_mapper = Program::start("epmd", |_| {
            let mut command = Command::new(PORT_MAPPER);
            command.args(["-d", "-address", "127.0.0.1", "-port", &mapper]);
            command
        })?;
        port_mapper.wait_for(BEGINS_WITHIN, |line| line.contains("running").then_some(())).await?;
        let mut server = Program::start("rabbitmq-server", |_| command(ports, folder, certificate))?;
        server.wait_for(SERVES_WITHIN, |line| line.contains("Server startup complete").then_some(())).await?;
        Ok(Self { server, _port_mapper: port_mapper })
    }
}

fn command(ports: RabbitPorts, folder: &Path, certificate: &Certificate) -> Command {
    let configuration = folder.join("rabbitmq.conf");
    let text = format!("listeners.tcp.1 = 127.0.0.1:{}\nlog.console = true\nlog.file = false\n", ports.amqp);
    let (file, key) = (certificate.path(), certificate.key_path());
    let encrypted = format!(
        "listeners.ssl.1 = 127.0.0.1:{}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
         ssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n",
        ports.encrypted,
        file.display(),
        key.display()
    );
    fs::write(&configuration, text + &encrypted).expect("a new folder can be written to");
    let plugins = folder.join("enabled_plugins");
    fs::write(&plugins, "[].").expect("a new folder can be written to");
    let mut command = Command::new(SERVER);
    command
        .process_group(0)
        .env("HOME", folder)
        .env("ERL_CRASH_DUMP", folder.join("erl_crash.dump"))
        .env("RABBITMQ_NODENAME", format!("desk{}@localhost", ports.amqp))
        .env("RABBITMQ_CONFIG_FILE", &configuration)
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", &plugins)
        .env("RABBITMQ_MNESIA_BASE", folder.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", folder.join("log"))
        .env("RABBITMQ_PID_FILE", folder.join("pid"))
        .env("RABBITMQ_NODE_PORT", ports.amqp.to_string())
        .env("RABBITMQ_DIST_PORT", ports.distribution.to_string())
        .env("ERL_EPMD_PORT", ports.mapper.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1");
    command
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        let leader = i32::try_from(self.server.process_id()).ok().and_then(Pid::from_raw);
        // Its shell is the group's first, and what it began is in the group.
        let _ = leader.map(|leader| kill_process_group(leader, Signal::KILL));
    }
}
