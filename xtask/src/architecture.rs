//! Holds the crates to the table of docs/architecture.md.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};

type Edges = BTreeSet<(String, String)>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies in the workspace")
}

/// Edges between crates of the workspace, but for those of tests.
pub fn actual_edges() -> Result<Edges> {
    let metadata = MetadataCommand::new()
        .current_dir(root())
        .no_deps()
        .exec()
        .context("cargo metadata")?;
    let ours: BTreeSet<_> = metadata
        .packages
        .iter()
        .map(|package| package.name.to_string())
        .collect();
    Ok(metadata
        .packages
        .iter()
        .flat_map(|package| {
            let from = package.name.to_string();
            package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind != DependencyKind::Development)
                .filter(|dependency| ours.contains(&dependency.name))
                .map(move |dependency| (from.clone(), dependency.name.clone()))
        })
        .collect())
}

/// Rows of the page's table, such as "| `load` | `contracts`, `world` | … |".
#[cfg(test)]
fn allowed_edges() -> Result<Edges> {
    let page =
        std::fs::read_to_string(root().join("docs/architecture.md")).context("docs/architecture.md")?;
    let table = page
        .split_once("<!-- edges -->")
        .and_then(|(_, rest)| rest.split_once("<!-- /edges -->"))
        .context("docs/architecture.md has no table between <!-- edges --> and <!-- /edges -->")?
        .0;
    let names =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let mut edges = Edges::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let mut cells = row.split('|').skip(1);
        let from = names(cells.next().context("a row without cells")?);
        let to = names(cells.next().context("a row without a second cell")?);
        for from in &from {
            edges.extend(to.iter().map(|to| (from.clone(), to.clone())));
        }
    }
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_depend_only_on_what_the_architecture_page_lists() {
        let actual = actual_edges().expect("cargo metadata runs");
        let allowed = allowed_edges().expect("the page has its table");
        let forbidden: Vec<_> = actual.difference(&allowed).collect();
        assert!(forbidden.is_empty(), "not in docs/architecture.md: {forbidden:?}");
        let stale: Vec<_> = allowed.difference(&actual).collect();
        assert!(
            stale.is_empty(),
            "docs/architecture.md lists edges that do not exist: {stale:?}"
        );
    }

    #[test]
    fn no_service_knows_the_truth_another_service_or_the_embedded_servers() {
        let services = ["store-gateway", "mq-source", "normaliser", "inventory"];
        for (from, to) in actual_edges().expect("cargo metadata runs") {
            if services.contains(&from.as_str()) {
                assert!(["contracts", "backbone"].contains(&to.as_str()), "{from} -> {to}");
            }
        }
    }

    #[test]
    fn the_audit_shares_no_code_with_what_it_checks() {
        for (from, to) in actual_edges().expect("cargo metadata runs") {
            if from == "audit" || from == "ledger" {
                assert!(["contracts", "ledger"].contains(&to.as_str()), "{from} -> {to}");
            }
        }
    }
}
