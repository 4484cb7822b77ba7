//! Apache ActiveMQ Artemis: an AMQP 1.0 queue manager with a journal on disk.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use super::fetch;
use super::state::State;

pub const READY: &str = "Server is now active";
const INSTANCE: &str = "artemis";
const JAVA_ARGS: &str = "-Xms256m -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dlog4j2.disableJmx=true \
                         --add-opens java.base/jdk.internal.misc=ALL-UNNAMED";

/// Lets Artemis make an instance with a user who has to give a password, and keeps only the listeners that are wanted.
pub fn create(state: &State, cache: &Path) -> Result<()> {
    let instance = state.scratch.join(INSTANCE);
    let output = Command::new(fetch::artemis(cache).join("bin/artemis"))
        .args([
            "create",
            "--silent",
            "--require-login",
            "--no-web",
            "--no-autotune",
        ])
        .args(["--host", "127.0.0.1", "--default-port", &state.core.to_string()])
        .args(["--user", &state.user, "--password", &state.password])
        .arg(&instance)
        .stdin(Stdio::null())
        .output()
        .context("artemis")?;
    ensure!(
        output.status.success(),
        "Artemis makes no instance:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let path = instance.join("etc/broker.xml");
    let settings = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    fs::write(&path, with_acceptors(&settings, state.core, state.amqp)?)
        .with_context(|| path.display().to_string())
}

pub fn command(state: &State) -> Command {
    let mut command = Command::new(state.scratch.join(INSTANCE).join("bin/artemis"));
    // The script replaces itself by java, so the process that is started is the server.
    command.arg("run").env("JAVA_ARGS", JAVA_ARGS);
    command
}

/// Two listeners on the loopback in place of those that `create` writes.
fn with_acceptors(settings: &str, core: u16, amqp: u16) -> Result<String> {
    let (Some(start), Some(end)) = (settings.find("<acceptors>"), settings.find("</acceptors>")) else {
        bail!("Artemis' broker.xml has no acceptors: this is another version than expected");
    };
    Ok(format!(
        "{}<acceptors>
         <acceptor name=\"core\">tcp://127.0.0.1:{core}?protocols=CORE</acceptor>
         <acceptor name=\"amqp\">tcp://127.0.0.1:{amqp}?protocols=AMQP;amqpCredits=1000;amqpLowCredits=300</acceptor>
      {}",
        &settings[..start],
        &settings[end..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_protocols_and_ports_are_gone_and_the_rest_stays() {
        let settings = "<core><name>x</name>\n<acceptors>\n<acceptor name=\"mqtt\">tcp://127.0.0.1:1883</acceptor>\n\
                        </acceptors>\n<addresses/></core>";
        let changed = with_acceptors(settings, 20_022, 20_021).expect("it has acceptors");
        assert!(changed.starts_with("<core><name>x</name>\n<acceptors>"));
        assert!(changed.ends_with("</acceptors>\n<addresses/></core>"));
        assert!(!changed.contains("1883"));
        assert!(changed.contains("tcp://127.0.0.1:20021?protocols=AMQP"));
        assert_eq!(changed.matches("<acceptor ").count(), 2);
        assert!(with_acceptors("<core/>", 1, 2).is_err());
    }
}
