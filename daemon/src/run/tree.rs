//! The actors of this run, on a runtime and a thread of their own.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::Router;
use millrace_actors::binder::{self, Binder};
use millrace_actors::clock::{Clock, SystemClock};
use millrace_actors::deposits::Deposits;
use millrace_actors::event_store::{Execution, Settings, Store};
use millrace_actors::projection::{self, Views};
use millrace_actors::scanner;
use millrace_actors::supervision::{Registry, Tree};
use millrace_actors::{decider, sender, worker};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::outside::{Outside, outside};
use crate::config::Config;

/// The log's file in the data folder.
const LOG_FILE: &str = "log.db";
/// The views' file in the data folder.
const VIEWS_FILE: &str = "views.db";
