//! Services that run as processes of their own: what a run must not ask of them, and where they are.

use anyhow::{Context as _, Result, bail, ensure};
use scenario::{Action, Scenario};

use crate::cli::{RunArgs, ServicesAt};

/// `host:port` of the gateway when the services are outside; an error when something is asked that needs them inside.
pub fn gateway(args: &RunArgs, scenario: &Scenario) -> Result<Option<String>> {
    if args.services == ServicesAt::Inside {
        ensure!(
            args.gateway.is_none(),
            "--gateway names a gateway outside; add --services outside, or leave it out"
        );
        return Ok(None);
    }
    ensure!(
        args.sabotage.is_none(),
        "--sabotage damages a service inside this process; leave it or --services outside out"
    );
    let asks = |action: &Action| matches!(action, Action::StopService(_) | Action::StartService(_));
    if scenario
        .steps
        .iter()
        .any(|step| step.action.as_ref().is_some_and(asks))
    {
        bail!(
            "`{}` stops and starts services, which a run can do only with those inside it; choose another scenario, or \
             leave out --services outside",
            scenario.name
        );
    }
    let url = args
        .gateway
        .as_deref()
        .context("--services outside needs --gateway")?;
    address_of(url).map(Some)
}

fn address_of(url: &str) -> Result<String> {
    let address = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
    let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    ensure!(
        matches!(port, Some(Ok(_))) && !address.contains('/'),
        "--gateway {url}: expected http://HOST:PORT, such as http://127.0.0.1:8080"
    );
    Ok(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_a_host_and_a_port() {
        for good in [
            "http://127.0.0.1:8080",
            "127.0.0.1:8080",
            "http://127.0.0.1:8080/",
        ] {
            assert_eq!(address_of(good).expect("valid"), "127.0.0.1:8080");
        }
        for bad in [
            "http://gateway",
            "https://gateway:8443",
            "gateway:http",
            "http://g:1/path",
            "",
        ] {
            let error = address_of(bad).expect_err(bad).to_string();
            assert!(error.contains("http://HOST:PORT"), "{error}");
        }
    }
}
