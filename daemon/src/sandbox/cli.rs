//! `millrace sandbox …`: running the sandbox and steering the one that runs, from the command line.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use millrace_model::money::{Amount, Btc};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::client::Client;
use super::control::Chain;
use super::faults::{ANY_OPERATION, Effect, Rule, Server};
use super::find::find;
use super::process::{Config, Elsewhere, Ports, Timing, run};
use super::receiver;
use super::receiver::steer::ReceiverCommand;

/// Stand-ins for the Bitcoin node, the Skycoin node, the exchange and a receiver of webhooks.
#[derive(Debug, Args)]
pub struct SandboxArgs {
    /// The sandbox's folder; without it, the one of the configuration.
    #[arg(long, global = true, value_name = "PATH")]
    pub dir: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done with the sandbox.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the sandbox until it is stopped.
    Run(RunArgs),
    /// Show where everything is, as JSON.
    Status,
    /// Show what really happened on both chains and on the exchange, as JSON.
    Books,
    /// The sandbox's customer pays bitcoin to an address.
    Pay {
        /// A regtest address, such as the desk's deposit address.
        address: String,
        /// How much, in BTC.
        amount: Amount<Btc>,
    },
    /// Mine Bitcoin blocks.
    Mine {
        /// How many.
        #[arg(default_value_t = 1)]
        blocks: u32,
        /// Where the rewards go; without it, to the customer.
        #[arg(long)]
        to: Option<String>,
    },
    /// Make a Skycoin block of everything that waits.
    Block,
    /// Take blocks back, as a reorganisation does.
    Reorg {
        /// On which chain.
        chain: Chain,
        /// How many blocks.
        depth: u32,
        /// What becomes of their transactions.
        #[arg(long, value_enum, default_value_t = Orphans::Keep)]
        orphans: Orphans,
    },
    /// Burn the coin hours of the Skycoin hot wallet.
    Drain,
    /// Send the Skycoin hot wallet new outputs with coin hours.
    Refill {
        /// How many outputs.
        #[arg(default_value_t = 100)]
        outputs: u32,
        /// Coins in each.
        #[arg(long, default_value = "1000")]
        coins: String,
        /// Coin hours in each.
        #[arg(long, default_value_t = 1_000_000_000)]
        hours: u64,
    },
    /// Faults on the wire.
    #[command(subcommand)]
    Faults(FaultsCommand),
    /// A receiver of webhooks, to point one at.
    #[command(subcommand)]
    Receiver(ReceiverCommand),
    /// Send any request to the control API, such as `POST /bitcoin/replace '{"txid":"…"}'`.
    Send {
        /// GET, POST or DELETE.
        #[arg(value_enum, ignore_case = true)]
        method: Verb,
        /// The path.
        path: String,
        /// The JSON body of a POST.
        #[arg(default_value = "{}")]
        body: String,
    },
    /// Make a part of the running desk panic, to see it heal.
    Panic {
        /// Which, by the name it has in the desk's health.
        part: String,
    },
    /// Stop the sandbox.
    Stop,
}

/// How a sandbox is run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Milliseconds between two Bitcoin blocks while there is something to confirm; 0 for blocks on demand only.
    #[arg(long, default_value_t = 5_000)]
    bitcoin_block_ms: u64,
    /// Milliseconds between two Skycoin blocks; 0 for blocks on demand only.
    #[arg(long, default_value_t = 10_000)]
    skycoin_block_ms: u64,
    /// Milliseconds between two movements of the exchange's market; 0 for movements on demand only.
    #[arg(long, default_value_t = 5_000)]
    market_step_ms: u64,
    /// How many outputs the hot wallet of a new chain begins with.
    #[arg(long, default_value_t = 4_000)]
    hot_outputs: u32,
    /// How many peers the Skycoin node pretends to have; without any it broadcasts nothing.
    #[arg(long, default_value_t = 0)]
    peers: u32,
    /// Take any free ports instead of the usual ones.
    #[arg(long)]
    any_ports: bool,
    /// Fail when a port that the sandbox of this folder had before is taken, instead of taking another.
    #[arg(long)]
    keep_ports: bool,
}

/// What can be done with faults.
#[derive(Debug, Subcommand)]
pub enum FaultsCommand {
    /// Switch a fault on.
    Set(FaultArgs),
    /// Show what is on, as JSON.
    List,
    /// Switch everything off.
    Clear {
        /// Only this server's.
        server: Option<Server>,
    },
}

/// A fault.
#[derive(Debug, Args)]
pub struct FaultArgs {
    /// Which server.
    server: Server,
    /// What goes wrong.
    effect: EffectName,
    /// For which operation: an RPC method, or a path such as `injectTransaction` or `createorder`.
    #[arg(long, default_value = ANY_OPERATION)]
    operation: String,
    /// How long a delay is, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    ms: u64,
    /// The HTTP status of a failure.
    #[arg(long, default_value_t = 500)]
    status: u16,
    /// For so many requests only.
    #[arg(long)]
    times: Option<u32>,
    /// For so many of a thousand requests only.
    #[arg(long)]
    per_mille: Option<u32>,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum EffectName {
    /// The request waits.
    Delay,
    /// The server acts, and the answer waits.
    DelayReply,
    /// The server acts, and the connection closes without an answer.
    LoseReply,
    /// The connection closes, and the server does not act.
    LoseRequest,
    /// An error, without acting.
    Fail,
    /// An error, after acting.
    FailAfterActing,
    /// "Too many requests", in the server's own way.
    RateLimit,
    /// An answer that is none.
    Nonsense,
}

/// What becomes of transactions whose blocks are taken back.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Orphans {
    /// They wait again.
    Keep,
    /// They are forgotten.
    Drop,
    /// They are in the new blocks too (Bitcoin only).
    Remine,
}

/// How a request is sent.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Verb {
    /// Asks.
    Get,
    /// Makes something happen.
    Post,
    /// Takes something away.
    Delete,
}

/// Does what the command line says, in this folder. What is asked for goes to standard output, as JSON.
pub async fn execute(dir: &Path, command: Command) -> anyhow::Result<()> {
    if let Command::Run(args) = command {
        return run_until_signal(config(dir, &args)).await;
    }
    let Some(info) = find(dir).await else {
        bail!("no sandbox runs in {}; start one with `millrace sandbox run`", dir.display());
    };
    let answer = steer(&Client::new(&info)?, command).await?;
    Ok(writeln!(io::stdout().lock(), "{}", serde_json::to_string_pretty(&answer)?)?)
}

fn config(dir: &Path, args: &RunArgs) -> Config {
    let every = |ms| (ms > 0).then(|| Duration::from_millis(ms));
    let mut config = Config::new(dir);
    config.timing = Timing {
        bitcoin_block: every(args.bitcoin_block_ms),
        skycoin_block: every(args.skycoin_block_ms),
        market_step: every(args.market_step_ms),
    };
    config.skycoin.hot_outputs = args.hot_outputs;
    config.skycoin.peers = args.peers;
    if args.any_ports {
        config.ports = Ports::ANY;
    }
    if args.keep_ports {
        config.elsewhere = Elsewhere::Refused;
    }
    config
}

async fn run_until_signal(config: Config) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let signalled = async {
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
        }
    };
    Ok(run(config, signalled).await?)
}

async fn steer(client: &Client, command: Command) -> anyhow::Result<Value> {
    let nothing = json!({});
    let (path, body) = match command {
        Command::Run(_) => bail!("a sandbox that runs is not started again"),
        Command::Panic { .. } => bail!("parts belong to the desk, not to the sandbox"),
        Command::Status => return Ok(client.get("/status").await?),
        Command::Books => return Ok(client.get("/books").await?),
        Command::Faults(command) => return faults(client, command).await,
        Command::Receiver(command) => return Ok(receiver::steer::steer(client, command).await?),
        Command::Send { method, path, body } => return send(client, method, &path, &body).await,
        Command::Pay { address, amount } => ("/pay", json!({ "address": address, "amount": amount })),
        Command::Mine { blocks, to } => ("/mine", json!({ "blocks": blocks, "address": to })),
        Command::Block => ("/skycoin/block", nothing),
        Command::Reorg { chain, depth, orphans } => {
            let orphans = match orphans {
                Orphans::Keep => "keep",
                Orphans::Drop => "drop",
                Orphans::Remine => "remine",
            };
            ("/reorg", json!({ "chain": chain, "depth": depth, "orphans": orphans }))
        }
        Command::Drain => ("/skycoin/drain", nothing),
        Command::Refill { outputs, coins, hours } => {
            ("/skycoin/refill", json!({ "outputs": outputs, "coins": coins, "hours": hours }))
        }
        Command::Stop => ("/stop", nothing),
    };
    Ok(client.post(path, &body).await?)
}

async fn send(client: &Client, method: Verb, path: &str, body: &str) -> anyhow::Result<Value> {
    Ok(match method {
        Verb::Get => client.get(path).await?,
        Verb::Delete => client.delete(path).await?,
        Verb::Post => client.post(path, &serde_json::from_str(body).context("the body is not JSON")?).await?,
    })
}

async fn faults(client: &Client, command: FaultsCommand) -> anyhow::Result<Value> {
    Ok(match command {
        FaultsCommand::Set(args) => client.post("/faults", &serde_json::to_value(rule(args))?).await?,
        FaultsCommand::List => client.get("/faults").await?,
        FaultsCommand::Clear { server: None } => client.delete("/faults").await?,
        FaultsCommand::Clear { server: Some(server) } => {
            let server = serde_json::to_value(server)?;
            client.delete(&format!("/faults?server={}", server.as_str().unwrap_or_default())).await?
        }
    })
}

fn rule(args: FaultArgs) -> Rule {
    let FaultArgs { server, effect, operation, ms, status, times, per_mille } = args;
    let effect = match effect {
        EffectName::Delay => Effect::Delay { ms },
        EffectName::DelayReply => Effect::DelayReply { ms },
        EffectName::LoseReply => Effect::LoseReply,
        EffectName::LoseRequest => Effect::LoseRequest,
        EffectName::Fail => Effect::Fail { status },
        EffectName::FailAfterActing => Effect::FailAfterActing { status },
        EffectName::RateLimit => Effect::RateLimit,
        EffectName::Nonsense => Effect::Nonsense,
    };
    Rule { server, operation, effect, times, per_mille }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::process::start;
    use super::super::skycoin_node;
    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        sandbox: SandboxArgs,
    }

    fn parse(line: &str) -> SandboxArgs {
        Line::try_parse_from(format!("sandbox {line}").split_whitespace()).unwrap().sandbox
    }

    #[tokio::test]
    async fn every_command_reaches_the_running_sandbox() {
        let folder = tempfile::tempdir().unwrap();
        let skycoin = skycoin_node::Config { hot_outputs: 3, ..skycoin_node::Config::default() };
        let config = Config { ports: Ports::ANY, timing: Timing::ON_DEMAND, skycoin, ..Config::new(folder.path()) };
        let running = start(config).await.unwrap();
        let client = Client::new(&running.info).unwrap();
        for line in [
            "status",
            "pay bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080 0.5",
            "mine",
            "mine 2",
            "reorg bitcoin 2 --orphans drop",
            "block",
            "drain",
            "refill 2 --coins 5 --hours 100",
            "reorg skycoin 1",
            "faults set skycoin lose-reply --operation injectTransaction --times 2",
            "faults set bitcoin delay --ms 5 --per-mille 10",
            "faults list",
            "faults clear bitcoin",
            "send get /status",
            "send post /market/step",
            r#"send post /market/fills {"percent":50}"#,
            "receiver list",
            "receiver secret whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH",
            "receiver answer busy --times 3",
            "receiver clear",
            "books",
        ] {
            let args = parse(line);
            let answer = steer(&client, args.command).await;
            assert!(answer.is_ok(), "{line}: {answer:?}");
        }
        let rules = running.servers.faults.list();
        assert_eq!(rules.len(), 1);
        assert_eq!((rules[0].effect, rules[0].times), (Effect::LoseReply, Some(2)));
        running.stop().await;
    }

    #[tokio::test]
    async fn without_a_sandbox_the_way_to_start_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = execute(folder.path(), parse("books").command).await.unwrap_err().to_string();
        assert!(error.contains("millrace sandbox run"), "{error}");
    }

    #[test]
    fn the_timers_can_be_switched_off() {
        let Command::Run(args) = parse("run --bitcoin-block-ms 0 --skycoin-block-ms 250 --any-ports --dir y").command
        else {
            panic!("run")
        };
        let config = config(Path::new("x"), &args);
        assert_eq!(config.timing.bitcoin_block, None);
        assert_eq!(config.timing.skycoin_block, Some(Duration::from_millis(250)));
        assert_eq!(config.ports, Ports::ANY);
    }
}
