//! The sockets of the two faces: opened once, served by whoever is there to serve.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::web::frame::{Frame, Transport, enclosed};
use crate::web::server::{Limits, serve};
use crate::web::tls;

/// The open sockets, with what is needed to speak TLS: who serves may no longer be able to read files.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub public: Socket,
    pub operator: Socket,
    tls: Option<Arc<ServerConfig>>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Socket {
    pub listener: TcpListener,
    pub address: SocketAddr,
}

/// What is served where; each refuses in its own way what it does not know.
pub(crate) struct Routers {
    pub public: Router,
    pub operator: Router,
}

impl Socket {
    fn of(listener: TcpListener) -> io::Result<Self> {
        Ok(Self { address: listener.local_addr()?, listener })
    }

    fn open(address: SocketAddr, key: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).with_context(|| format!("{key}: {address} cannot be opened"))?;
        Ok(Self::of(listener)?)
    }

    fn again(&self) -> io::Result<Self> {
        Ok(Self { listener: self.listener.try_clone()?, address: self.address })
    }
}

impl Listeners {
    /// Opens them as configured.
    pub fn open(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            public: Socket::open(config.public.listen, "public.listen")?,
            operator: Socket::open(config.operator.listen, "operator.listen")?,
            tls: config.public.tls().map(tls::server_config).transpose()?,
        })
    }

    /// Those that somebody else opened.
    pub fn given(config: &Config, [public, operator]: [TcpListener; 2]) -> anyhow::Result<Self> {
        let tls = config.public.tls().map(tls::server_config).transpose()?;
        Ok(Self { public: Socket::of(public)?, operator: Socket::of(operator)?, tls })
    }

    /// The same sockets a second time: they are closed when both are.
    pub fn again(&self) -> io::Result<Self> {
        Ok(Self { public: self.public.again()?, operator: self.operator.again()?, tls: self.tls.clone() })
    }

    /// Takes connections and answers them until the stop.
    pub async fn serve(self, config: &Config, routers: Routers, stop: CancellationToken) -> anyhow::Result<()> {
        let transport = if self.tls.is_some() { Transport::Tls } else { Transport::Plain };
        let public = enclosed(
            routers.public,
            Frame {
                proxies: config.public.proxies().to_vec(),
                cors: config.public.cors_allowed.clone(),
                transport,
                stop: stop.clone(),
            },
        );
        let own = Frame {
            proxies: config.operator.tls_proxies.clone(),
            cors: vec![],
            transport: config.operator.transport(),
            stop: stop.clone(),
        };
        let operator = enclosed(routers.operator, own);
        let limits = Limits { connections_max: config.public.max_connections, ..Limits::default() };
        let (public, operator) = tokio::join!(
            serve(self.public.listener, self.tls, public, limits, stop.clone()),
            serve(self.operator.listener, None, operator, Limits::default(), stop)
        );
        Ok(public.and(operator)?)
    }
}
