//! A data listener as connections see it: what it answers to, what it speaks, and whose word it takes for who calls.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use rustls::ServerConfig;

use super::{BuildError, tls};
use crate::caller::is_within;
use crate::config::{self, ClientAddress};

/// A data listener.
#[derive(Clone)]
pub struct Listener {
    /// Host names that it accepts beside those of the routes.
    pub hosts: Vec<String>,
    /// TLS, when it is spoken.
    pub tls: Option<Arc<ServerConfig>>,
    /// Peers that speak for others.
    pub proxies: Option<Proxies>,
}

/// Proxies in front of a listener that are believed about their callers.
#[derive(Clone, Debug)]
pub struct Proxies {
    /// How they tell for whom they speak.
    pub tell: ClientAddress,
    trusted: Vec<IpNet>,
}

impl Proxies {
    /// Proxies in these networks.
    pub fn new(tell: ClientAddress, trusted: Vec<IpNet>) -> Self {
        Self { tell, trusted }
    }

    /// Whether this address is one of theirs.
    pub fn include(&self, address: IpAddr) -> bool {
        is_within(&self.trusted, address)
    }
}

impl Listener {
    /// Builds a listener, reading the files that it names.
    pub fn build(listener: &config::Listener) -> Result<Self, BuildError> {
        let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "[::1]"].map(String::from).to_vec();
        hosts.extend(listener.hosts.iter().cloned());
        if let config::Address::Tcp(address) = listener.address
            && !address.ip().is_unspecified()
        {
            hosts.push(match address.ip() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            });
        }
        let tls = listener.tls.as_ref().map(tls::listener).transpose()?;
        let proxies = listener.client_address;
        let proxies = proxies.map(|tell| Proxies::new(tell, listener.trusted_proxies.clone()));
        Ok(Self { hosts, tls, proxies })
    }

    /// How the peer at this address tells for whom it speaks; `None` when it speaks for itself.
    pub fn speaks_for_others(&self, peer: IpAddr) -> Option<ClientAddress> {
        self.proxies.as_ref().filter(|proxies| proxies.include(peer)).map(|proxies| proxies.tell)
    }
}
