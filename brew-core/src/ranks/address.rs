//! Addresses: this machine's, as the other ranks reach it, and the first host of Slurm's list.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use crate::error::{Error, Result};

/// The address of this machine on the way to that host. No packet is sent: the system only looks up the way.
pub(super) fn towards(host: &str, port: u16) -> Result<String> {
    let unreachable = |error| {
        Error::invalid(format!(
            "the address of rank 0, `{host}` (MASTER_ADDR), cannot be reached from here: {error}"
        ))
    };
    let mut last = std::io::Error::other("it has no address");
    for other in (host, port).to_socket_addrs().map_err(unreachable)? {
        let any: SocketAddr = match other {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let found = UdpSocket::bind(any).and_then(|socket| {
            socket.connect(other)?;
            socket.local_addr()
        });
        match found {
            Ok(address) => return Ok(address.ip().to_string()),
            Err(error) => last = error,
        }
    }
    Err(unreachable(last))
}

/// The name of this machine, for messages.
pub(super) fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok());
    name.map_or_else(|| "an unnamed host".to_owned(), |name| name.trim().to_owned())
}

/// The first host of a list as Slurm writes it: `node[07-09,12],login1` begins with `node07`.
pub(super) fn first_host(list: &str) -> String {
    let mut host = String::new();
    let mut rest = list.trim();
    while let Some(next) = rest.find(['[', ',']) {
        host.push_str(&rest[..next]);
        if rest[next..].starts_with(',') {
            return host;
        }
        let inside = &rest[next + 1..];
        let end = inside.find(']').unwrap_or(inside.len());
        host.push_str(inside[..end].split(['-', ',']).next().unwrap_or_default());
        rest = inside.get(end + 1..).unwrap_or_default();
    }
    host.push_str(rest);
    host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_host_of_slurms_list_keeps_its_zeros() {
        // Lists as `scontrol show hostnames` takes them apart.
        for (list, first) in [
            ("node1", "node1"),
            ("node1,node2", "node1"),
            ("host[5-9,12]", "host5"),
            ("n[007-011],login", "n007"),
            ("n[3,5-6]-ib", "n3-ib"),
            ("rack[2-3]node[04-05],x", "rack2node04"),
        ] {
            assert_eq!(first_host(list), first, "{list}");
        }
    }

    #[test]
    fn the_way_to_this_machine_is_its_loopback() {
        assert_eq!(towards("127.0.0.1", 1).unwrap(), "127.0.0.1");
        let error = towards("no.such.host.invalid", 1).unwrap_err().to_string();
        assert!(error.contains("`no.such.host.invalid` (MASTER_ADDR)"), "{error}");
    }
}
