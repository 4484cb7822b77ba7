//! Free ports of the loopback, below those that the system gives to outgoing connections.
//!
//! A server that is ended and started again needs its port back: one from the system's own range could be taken in
//! between by any connection that some program opens.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

const LOWEST: u16 = 20_000;
/// Where the system does not say where its own range begins: Linux's default.
const USUAL_FIRST: u16 = 32_768;

/// So many free ports, all different.
pub fn free(count: usize) -> Result<Vec<u16>> {
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let end = below_ephemeral(&range);
    // Two stacks that start at once look in different places, far from each other though their process numbers are not.
    let spread = std::process::id().wrapping_mul(0x9e37_79b1) >> 8;
    let first = LOWEST + (spread % u32::from(end - LOWEST)) as u16;
    let mut taken: Vec<(u16, TcpListener)> = Vec::with_capacity(count);
    for port in (first..end).chain(LOWEST..first) {
        if taken.len() == count {
            break;
        }
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            taken.push((port, listener));
        }
    }
    if taken.len() < count {
        bail!("there are not {count} free ports between {LOWEST} and {end} on 127.0.0.1");
    }
    Ok(taken.into_iter().map(|(port, _)| port).collect())
}

/// The first port of the system's range, from the two numbers that Linux tells.
fn below_ephemeral(range: &str) -> u16 {
    range
        .split_whitespace()
        .next()
        .and_then(|first| first.parse().ok())
        .filter(|first| *first > LOWEST + 100)
        .unwrap_or(USUAL_FIRST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_own_range_is_read_and_a_strange_one_replaced() {
        assert_eq!(below_ephemeral("40000\t60999\n"), 40_000);
        assert_eq!(below_ephemeral("1024 65535"), USUAL_FIRST);
        assert_eq!(below_ephemeral(""), USUAL_FIRST);
    }

    #[test]
    fn free_ports_are_different_free_and_below_the_systems_range() {
        let ports = free(8).expect("there are free ports");
        let different: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(different.len(), 8);
        assert!(
            ports
                .iter()
                .all(|port| (LOWEST..USUAL_FIRST.max(40_000)).contains(port))
        );
    }
}
