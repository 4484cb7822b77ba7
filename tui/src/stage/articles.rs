//! Articles that the catalogue does not have at first, and the letters that they cost.

use anyhow::{Context as _, Result};
use contracts::records::Article;
use scenario::Scenario;

use super::run::Run;
use crate::dlq;

/// The articles that are published before trading, and those that are held back.
pub fn split(scenario: &Scenario, articles: &[Article]) -> (Vec<Article>, Vec<Article>) {
    let is_held = |index: usize| {
        let numbers = &scenario.world.unknown_articles;
        numbers.iter().any(|item| usize::from(item.0) == index + 1)
    };
    let (held, known): (Vec<_>, Vec<_>) = articles
        .iter()
        .cloned()
        .enumerate()
        .partition(|(index, _)| is_held(*index));
    let without_index = |all: Vec<(usize, Article)>| all.into_iter().map(|(_, article)| article).collect();
    (without_index(known), without_index(held))
}

impl Run<'_> {
    /// What is held back comes into the catalogue.
    pub async fn release_articles(&mut self) -> Result<(), String> {
        let held = std::mem::take(&mut self.held_articles);
        let backbone = self.servers.backbone.clone();
        let published = tokio::task::spawn_blocking(move || load::publish_catalogue(&backbone, &held)).await;
        flat(published).map_err(|reason| self.say(format!("articles are not released: {reason:#}")))
    }

    /// Open letters of the class go back to where they stood.
    pub async fn put_back(&mut self, class: String) -> Result<(), String> {
        let backbone = self.servers.backbone.clone();
        let of_class = class.clone();
        let done = tokio::task::spawn_blocking(move || dlq::put_back_class(&backbone, &of_class)).await;
        match flat(done) {
            Ok(done) => {
                self.letters_put_back += done.letters;
                if let Some((id, reason)) = done.refused.first() {
                    self.say(format!(
                        "{} letters of {class} cannot be put back, the first {id}: {reason}",
                        done.refused.len()
                    ));
                }
                Ok(())
            }
            Err(reason) => Err(self.say(format!("letters of {class} are not put back: {reason:#}"))),
        }
    }
}

fn flat<T, E>(result: Result<Result<T, E>, tokio::task::JoinError>) -> Result<T>
where
    anyhow::Error: From<E>,
{
    Ok(result.context("it panicked")??)
}
