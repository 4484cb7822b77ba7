//! Topics: created as the contract has them, and checked where they exist already.

use std::time::Duration;

use contracts::topics::{BATCH_BYTES_MAX, Policy, Topic};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::config::{Backbone, BackboneError, client_error};

const TIMEOUT: Duration = Duration::from_secs(15);
/// Of each partition, where there are as many brokers; so many of them have what is acknowledged.
const REPLICAS: usize = 3;
const IN_SYNC_MIN: usize = 2;

impl Backbone {
    /// Creates what is missing; refuses a topic of another partition count or one that may lose acknowledged records.
    pub async fn ensure_topics(&self, topics: &[Topic]) -> Result<(), BackboneError> {
        let admin: AdminClient<DefaultClientContext> = self
            .client_config("stockstream-admin")
            .create()
            .map_err(client_error("stockstream-admin"))?;
        let brokers = {
            let metadata = admin
                .inner()
                .fetch_metadata(None, TIMEOUT)
                .map_err(client_error("stockstream-admin"))?;
            metadata.brokers().len() as i32
        };
        let replication = brokers.clamp(1, REPLICAS as i32);
        let bytes_max = BATCH_BYTES_MAX.to_string();
        let in_sync_min = IN_SYNC_MIN.to_string();
        let new: Vec<NewTopic<'_>> = topics
            .iter()
            .map(|topic| {
                let mut new = NewTopic::new(
                    topic.name,
                    topic.partitions as i32,
                    TopicReplication::Fixed(replication),
                )
                .set("unclean.leader.election.enable", "false")
                .set("max.message.bytes", &bytes_max);
                if replication == REPLICAS as i32 {
                    new = new.set("min.insync.replicas", &in_sync_min);
                }
                for (name, value) in topic.settings {
                    new = new.set(name, value);
                }
                match topic.policy {
                    Policy::Compact => new.set("cleanup.policy", "compact"),
                    Policy::Delete => new.set("cleanup.policy", "delete"),
                }
            })
            .collect();
        let options = AdminOptions::new()
            .operation_timeout(Some(TIMEOUT))
            .request_timeout(Some(TIMEOUT));
        for result in admin
            .create_topics(&new, &options)
            .await
            .map_err(client_error("stockstream-admin"))?
        {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => {
                    return Err(BackboneError::Topic {
                        topic,
                        message: format!("cannot be created: {code}"),
                    });
                }
            }
        }
        let replicas = self.check_partitions(&admin, topics).await?;
        check_settings(&admin, topics, &replicas, &options).await
    }

    /// Metadata follows a creation by some milliseconds: ask until every topic has a leader for each partition. How many
    /// replicas the partitions of each topic have at least.
    async fn check_partitions(
        &self,
        admin: &AdminClient<DefaultClientContext>,
        topics: &[Topic],
    ) -> Result<Vec<usize>, BackboneError> {
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        let mut replicas = Vec::with_capacity(topics.len());
        for topic in topics {
            loop {
                let found = {
                    let metadata = admin
                        .inner()
                        .fetch_metadata(Some(topic.name), TIMEOUT)
                        .map_err(client_error("stockstream-admin"))?;
                    metadata.topics().first().map(|t| {
                        (
                            t.partitions().len(),
                            t.partitions().iter().all(|p| p.leader() >= 0),
                            t.partitions().iter().map(|p| p.replicas().len()).min(),
                        )
                    })
                };
                match found {
                    Some((count, true, least)) if count == topic.partitions as usize => {
                        replicas.push(least.unwrap_or_default());
                        break;
                    }
                    Some((count, true, _)) if count > 0 => {
                        return Err(BackboneError::Topic {
                            topic: topic.name.to_owned(),
                            message: format!(
                                "has {count} partitions, {} are needed; a location's partition would change: use other topics or a fresh cluster",
                                topic.partitions
                            ),
                        });
                    }
                    _ if tokio::time::Instant::now() > deadline => {
                        return Err(BackboneError::Topic {
                            topic: topic.name.to_owned(),
                            message: format!("has no leaders {} s after its creation", TIMEOUT.as_secs()),
                        });
                    }
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        }
        Ok(replicas)
    }
}

/// A broker may be asked that has not heard of a new topic yet: until it has, it names no settings.
async fn check_settings(
    admin: &AdminClient<DefaultClientContext>,
    topics: &[Topic],
    replicas: &[usize],
    options: &AdminOptions,
) -> Result<(), BackboneError> {
    let resources: Vec<_> = topics
        .iter()
        .map(|topic| ResourceSpecifier::Topic(topic.name))
        .collect();
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    loop {
        let described = admin
            .describe_configs(&resources, options)
            .await
            .map_err(client_error("stockstream-admin"))?;
        let mut unknown = None;
        for ((topic, replicas), result) in topics.iter().zip(replicas).zip(described) {
            let error = |message: String| BackboneError::Topic {
                topic: topic.name.to_owned(),
                message,
            };
            let value = |name: &str| {
                let resource = result.as_ref().ok()?;
                resource.get(name)?.value.clone()
            };
            let bytes_max = value("max.message.bytes").and_then(|value| value.parse::<usize>().ok());
            if let Some(bytes_max) = bytes_max.filter(|bytes_max| *bytes_max < BATCH_BYTES_MAX) {
                return Err(error(format!(
                    "max.message.bytes is {bytes_max}: what is taken could not be passed on; set it to {BATCH_BYTES_MAX}"
                )));
            }
            let in_sync_min = value("min.insync.replicas").and_then(|value| value.parse::<usize>().ok());
            if *replicas >= REPLICAS && in_sync_min.is_some_and(|least| least < IN_SYNC_MIN) {
                return Err(error(format!(
                    "min.insync.replicas is 1 of {replicas}: a record can be acknowledged that only one broker has; set it to \
                     {IN_SYNC_MIN}"
                )));
            }
            match (value("unclean.leader.election.enable"), value("cleanup.policy")) {
                (Some(unclean), _) if unclean == "true" => {
                    return Err(error(
                        "unclean.leader.election.enable is true: acknowledged records can be lost; set it to false"
                            .into(),
                    ));
                }
                (_, Some(policy)) if topic.policy == Policy::Compact && policy != "compact" => {
                    return Err(error(format!(
                        "cleanup.policy is `{policy}`: the state in it would be deleted; set it to compact"
                    )));
                }
                (Some(_), Some(_)) => {}
                _ => {
                    let cause = result.as_ref().err().map(ToString::to_string);
                    let cause = cause.unwrap_or_else(|| "the broker names none".into());
                    unknown = Some(error(format!("settings cannot be read: {cause}")));
                }
            }
        }
        match unknown {
            None => return Ok(()),
            Some(error) if tokio::time::Instant::now() > deadline => return Err(error),
            Some(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

impl Backbone {
    /// Deletes the records of partitions that lie below offsets, for good.
    pub async fn delete_records(&self, topic: &str, below: &[(u32, u64)]) -> Result<(), BackboneError> {
        let admin: AdminClient<DefaultClientContext> = self
            .client_config("stockstream-admin")
            .create()
            .map_err(client_error("stockstream-admin"))?;
        let mut list = TopicPartitionList::with_capacity(below.len());
        for (partition, offset) in below {
            list.add_partition_offset(topic, *partition as i32, Offset::Offset(*offset as i64))
                .map_err(client_error("stockstream-admin"))?;
        }
        let options = AdminOptions::new()
            .operation_timeout(Some(TIMEOUT))
            .request_timeout(Some(TIMEOUT));
        let deleted = admin
            .delete_records(&list, &options)
            .await
            .map_err(client_error("stockstream-admin"))?;
        for element in deleted.elements() {
            element.error().map_err(|error| BackboneError::Topic {
                topic: format!("{topic}[{}]", element.partition()),
                message: format!("records cannot be deleted: {error}"),
            })?;
        }
        Ok(())
    }

    /// Deletes topics, those that are missing not being an error, and waits until they are gone.
    pub async fn delete_topics(&self, topics: &[Topic]) -> Result<(), BackboneError> {
        let admin: AdminClient<DefaultClientContext> = self
            .client_config("stockstream-admin")
            .create()
            .map_err(client_error("stockstream-admin"))?;
        let options = AdminOptions::new()
            .operation_timeout(Some(TIMEOUT))
            .request_timeout(Some(TIMEOUT));
        let names: Vec<&str> = topics.iter().map(|topic| topic.name).collect();
        for result in admin
            .delete_topics(&names, &options)
            .await
            .map_err(client_error("stockstream-admin"))?
        {
            match result {
                Ok(_)
                | Err((_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {}
                Err((topic, code)) => {
                    return Err(BackboneError::Topic {
                        topic,
                        message: format!("cannot be deleted: {code}"),
                    });
                }
            }
        }
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        loop {
            let left = {
                let metadata = admin
                    .inner()
                    .fetch_metadata(None, TIMEOUT)
                    .map_err(client_error("stockstream-admin"))?;
                metadata
                    .topics()
                    .iter()
                    .find(|t| names.contains(&t.name()))
                    .map(|t| t.name().to_owned())
            };
            match left {
                None => return Ok(()),
                Some(topic) if tokio::time::Instant::now() > deadline => {
                    return Err(BackboneError::Topic {
                        topic,
                        message: "is still there after its deletion".into(),
                    });
                }
                Some(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}
