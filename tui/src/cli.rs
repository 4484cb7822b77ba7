//! The command line: its words, their help, and the exit statuses.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use contracts::sabotage::Sabotage;

/// Proof of a real-time inventory: a retailer's day flows from tills, mainframe queue and scanners over Kafka into
/// one view of stock, and a checker outside the system compares that view with the truth, cell by cell.
#[derive(Debug, Parser)]
#[command(
    name = "stockstream",
    version,
    max_term_width = 100,
    after_help = "Exit status: 0 PASS · 1 FAIL · 2 wrong use, configuration, or a server that cannot be reached · \
                  3 INVALID, the generator could not keep its schedule · 130 after Ctrl-C.\n\n\
                  Without a command it runs the scenario `first-look`: on the screen in a terminal, otherwise headless."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Log lines to the standard error: error, warn, info, debug, trace.
    #[arg(long, global = true, value_name = "LEVEL", default_value = "error")]
    pub log: tracing::level_filters::LevelFilter,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the default scenario, on the screen or, without a terminal, headless.
    Demo(RunArgs),
    /// Run a scenario: a file, or the name of a shipped one.
    Run {
        /// A YAML file, or a name that `stockstream scenarios` lists.
        #[arg(value_hint = ValueHint::FilePath)]
        scenario: String,
        #[command(flatten)]
        args: RunArgs,
    },
    /// Check scenario files: prints `ok` with the expected totals, or the error with line and column.
    Check {
        /// Files, or names of shipped scenarios.
        #[arg(required = true, value_hint = ValueHint::FilePath)]
        scenarios: Vec<String>,
    },
    /// SHA-256 of the event stream: the same scenario and seed give the same bytes everywhere.
    ///
    /// It is the SHA-256 over the sorted lines `sha256  name` of the files that `generate` writes.
    Digest {
        #[arg(value_hint = ValueHint::FilePath)]
        scenario: String,
        #[arg(long)]
        seed: Option<u64>,
        /// Threads that generate; the digest does not depend on it.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=64))]
        threads: u16,
        /// Stop behind the step in which so many till receipts are reached.
        #[arg(long, value_name = "N")]
        transactions: Option<u64>,
        /// Only one place and transaction in N.
        #[arg(long, value_name = "1/N", value_parser = scale)]
        scale: Option<u32>,
    },
    /// Write the events as the sources send them, and the truth beside them.
    ///
    /// tlog/STORE.tlog, mq/WAREHOUSE.bin, scans/LOCATION.jsonld (a document a line) and truth.csv
    /// (location,sku,on_hand,floor,back_room in thousandths), so that anybody can recompute it with tools of their own.
    Generate {
        #[arg(value_hint = ValueHint::FilePath)]
        scenario: String,
        /// A folder that does not exist yet, or is empty.
        #[arg(long, value_hint = ValueHint::DirPath)]
        out: PathBuf,
        /// Stop behind the step in which so many till receipts are reached.
        #[arg(long, value_name = "N")]
        transactions: Option<u64>,
        #[arg(long)]
        seed: Option<u64>,
        #[arg(long, value_name = "1/N", value_parser = scale)]
        scale: Option<u32>,
    },
    /// Run one service as a process against an outside Kafka, until Ctrl-C.
    Serve(ServeArgs),
    /// Print records of a topic as JSON, one a line.
    Tap {
        topic: String,
        /// Address of the cluster; a running demo prints its own, or fix it with `run … --listen`.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9092")]
        kafka: String,
        /// End after so many records; without it, follow the topic.
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// What could not be understood: list it, look at it, put it back when it can be.
    Dlq {
        #[command(subcommand)]
        command: DlqCommand,
        /// Address of the cluster; a running demo prints its own, or fix it with `run … --listen`.
        #[arg(long, global = true, value_name = "ADDRESS", default_value = "127.0.0.1:9092")]
        kafka: String,
    },
    /// List the shipped scenarios.
    Scenarios {
        /// Print the JSON Schema of scenario files instead.
        #[arg(long)]
        schema: bool,
    },
    /// List what can be broken: by a step (`do: {break: NAME}`), by the key b on the screen, and in tests.
    Faults {
        /// As JSON, with all that the library says about each.
        #[arg(long, conflicts_with_all = ["markdown", "case"])]
        json: bool,
        /// As the table of docs/faults.md.
        #[arg(long, conflicts_with = "case")]
        markdown: bool,
        /// Print a scenario in a small world that breaks and mends this one.
        #[arg(long, value_name = "NAME")]
        case: Option<String>,
        /// Of the case: what else is drawn from it is what exactly breaks.
        #[arg(long, default_value_t = 1, requires = "case")]
        seed: u32,
    },
    /// Print the completion script of a shell.
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Classes of letters, how many are open and were put back, and an example of each.
    List {
        /// Only this class, such as unknown-item.
        #[arg(long)]
        class: Option<String>,
        #[arg(long)]
        json: bool,
    },
    /// One letter whole: what is wrong with it, its headers, its bytes.
    Show {
        /// Such as tlog.raw/3/1234.
        #[arg(value_name = "LETTER", value_parser = crate::dlq::parse_id)]
        letter: crate::dlq::Id,
    },
    /// Write letters into a folder: the bytes, and beside them all else as JSON.
    Export {
        #[arg(long)]
        class: Option<String>,
        /// A folder that does not exist yet, or is empty.
        #[arg(long, value_hint = ValueHint::DirPath)]
        out: PathBuf,
    },
    /// Put letters back to where they stood: same key, bytes, headers and time. What was put back before stays.
    ///
    /// Nothing is counted twice, however often a letter goes back. One that still cannot be understood comes into the
    /// dead letters anew.
    Replay {
        #[arg(long)]
        class: Option<String>,
        /// Such as tlog.raw/3/1234.
        #[arg(value_name = "LETTER", value_parser = crate::dlq::parse_id)]
        letters: Vec<crate::dlq::Id>,
        /// Of every class.
        #[arg(long, conflicts_with_all = ["class", "letters"])]
        all: bool,
        /// Those that were put back before as well.
        #[arg(long)]
        again: bool,
    },
}

#[derive(Clone, Debug, Default, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct RunArgs {
    /// No screen: a progress line a second, the verdict, and an exit status.
    #[arg(long)]
    pub headless: bool,
    /// Headless, with a JSON snapshot a line instead of text.
    #[arg(long)]
    pub json: bool,
    /// On the screen: leave when the verdict is there, instead of staying for questions.
    #[arg(long)]
    pub exit: bool,
    /// Another seed than the scenario's.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Simulated seconds a second, instead of the scenario's own pace.
    #[arg(long, value_name = "X", conflicts_with = "unthrottled", value_parser = positive)]
    pub speed: Option<f64>,
    /// As fast as the system takes it; makes no claim of latency.
    #[arg(long)]
    pub unthrottled: bool,
    /// Write the report, JSON, to this file.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub report: Option<PathBuf>,
    /// Damage one transaction in N inside a service, such as drop:1/1000@inventory. The audit must find it.
    ///
    /// Classes: drop, double, alter, misroute, stale, lie. Services: store-gateway, mq-source, normaliser, inventory,
    /// item-inventory. A double in front of the inventory is dropped by it and counted; stale and lie are for inventory
    /// and item-inventory. docs/sabotage.md has the whole table.
    #[arg(long, value_name = "CLASS:1/N@SERVICE")]
    pub sabotage: Option<Sabotage>,
    /// Use the Kafka cluster at this address instead of the embedded stand-in.
    ///
    /// Settings of the client, passwords among them, come from the file that STOCKSTREAM_KAFKA_CONFIG names
    /// (key=value lines as librdkafka has them).
    #[arg(long, value_name = "ADDRESS", conflicts_with = "listen")]
    pub kafka: Option<String>,
    /// With --kafka: delete the topics of an earlier run first.
    #[arg(long, requires = "kafka")]
    pub fresh: bool,
    /// Use the AMQP 1.0 server at this URL instead of the embedded queue, such as amqp://127.0.0.1:5672.
    ///
    /// User and password come from STOCKSTREAM_AMQP_USER and STOCKSTREAM_AMQP_PASSWORD.
    #[arg(long, value_name = "URL")]
    pub amqp: Option<String>,
    /// Write the lines to the topic `items` as well, in the shape of IBM's reference kit, each exactly once.
    #[arg(long)]
    pub project_items: bool,
    /// Where the services run: inside this process, or outside, as processes of `stockstream serve` on the same servers.
    ///
    /// Outside needs --kafka, --amqp and --gateway, and a scenario that stops and starts no service. What they handled
    /// and dropped is in their own metrics; the audit is the same.
    #[arg(
        long,
        value_name = "WHERE",
        value_enum,
        default_value_t,
        requires_ifs = [("outside", "kafka"), ("outside", "amqp"), ("outside", "gateway")]
    )]
    pub services: ServicesAt,
    /// With --services outside: the store gateway, such as http://127.0.0.1:8080.
    #[arg(long, value_name = "URL")]
    pub gateway: Option<String>,
    /// Keep the embedded broker on this port and the two above it, so that Kafka tools can look into the demo.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<std::net::SocketAddr>,
    /// Bound of the embedded broker's logs in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 448, value_parser = clap::value_parser!(u32).range(32..=65_536))]
    pub memory: u32,
    /// Only one place and transaction in N: for trying out and for tests.
    #[arg(long, value_name = "1/N", value_parser = scale)]
    pub scale: Option<u32>,
    /// Stop behind so many till receipts.
    #[arg(long, value_name = "N")]
    pub transactions: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ServicesAt {
    #[default]
    Inside,
    Outside,
}

#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Which one.
    pub service: ServiceName,
    #[arg(long, value_name = "ADDRESS")]
    pub kafka: String,
    /// The queue manager, for mq-source.
    #[arg(long, value_name = "URL")]
    pub amqp: Option<String>,
    /// Warehouses whose queues mq-source reads, for mq-source: so many from number 1 on.
    #[arg(long, default_value_t = 12)]
    pub warehouses: u16,
    /// Where the store gateway listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: std::net::SocketAddr,
    /// Health and Prometheus metrics: /health and /metrics on this loopback address; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub metrics: std::net::SocketAddr,
    /// For item-projector on a broker without transactions: a line can come twice after a crash, with the same id.
    #[arg(long)]
    pub keyed_ids: bool,
    /// Tells instances of a service apart.
    #[arg(long, default_value = "1")]
    pub instance: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ServiceName {
    StoreGateway,
    MqSource,
    Normaliser,
    Inventory,
    Reconciler,
    ItemProjector,
}

fn scale(text: &str) -> Result<u32, String> {
    text.strip_prefix("1/")
        .and_then(|n| n.parse().ok())
        .filter(|n| *n > 0)
        .ok_or_else(|| "expected 1/N, such as 1/100".to_owned())
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1_000_000.0 => Ok(value),
        _ => Err("expected a number above 0, such as 60".to_owned()),
    }
}
