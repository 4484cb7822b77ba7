//! Settings of topics, shown and changed. Nodes have none that can be changed.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, alter_configs_response,
    incremental_alter_configs_response,
};
use kafka_protocol::protocol::StrBytes;

use super::text;
use crate::broker::cluster::{Cluster, Refusal};
use crate::broker::config::{Change, SETTINGS, Setting, TopicConfig};
use crate::broker::wire::Header;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
/// Where a value comes from: the topic itself, or the default.
const SOURCE_TOPIC: i8 = 1;
const SOURCE_DEFAULT: i8 = 5;

pub fn describe(
    cluster: &Cluster,
    header: &Header,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| {
        let described = describe_one(cluster, header, &resource, request.include_synonyms);
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        match described {
            Ok(configs) => result.with_configs(configs),
            Err((error, why)) => result
                .with_error_code(error.code())
                .with_error_message(Some(text(why))),
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn describe_one(
    cluster: &Cluster,
    header: &Header,
    resource: &DescribeConfigsResource,
    with_synonyms: bool,
) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
    match resource.resource_type {
        TOPIC => {
            let topic = cluster
                .topic(&resource.resource_name)
                .ok_or_else(|| (ResponseError::UnknownTopicOrPartition, String::new()))?;
            let config = topic.config();
            let is_wanted = |setting: &&'static Setting| {
                resource
                    .configuration_keys
                    .as_ref()
                    .is_none_or(|keys| keys.iter().any(|key| *key == *setting.name))
            };
            let wanted = SETTINGS.iter().filter(is_wanted);
            Ok(wanted
                .map(|setting| describe_setting(&config, setting, header.version, with_synonyms))
                .collect())
        }
        BROKER => Ok(Vec::new()),
        other => Err((
            ResponseError::InvalidRequest,
            format!("resource type {other} has no settings here"),
        )),
    }
}

fn describe_setting(
    config: &TopicConfig,
    setting: &'static Setting,
    version: i16,
    with_synonyms: bool,
) -> DescribeConfigsResourceResult {
    let (value, is_own) = config.value(setting);
    let synonym = |value: &str, source| {
        DescribeConfigsSynonym::default()
            .with_name(text(setting.name))
            .with_value(Some(text(value)))
            .with_source(source)
    };
    let mut synonyms = Vec::new();
    if with_synonyms && is_own {
        synonyms.push(synonym(value, SOURCE_TOPIC));
    }
    if with_synonyms {
        synonyms.push(synonym(setting.default, SOURCE_DEFAULT));
    }
    DescribeConfigsResourceResult::default()
        .with_name(text(setting.name))
        .with_value(Some(text(value)))
        .with_config_source(if is_own { SOURCE_TOPIC } else { SOURCE_DEFAULT })
        .with_synonyms(synonyms)
        .with_config_type(if version >= 3 { setting.wire_type() } else { 0 })
}

/// Applies changes to a topic's settings, starting from `base` of what it has.
fn change<'a>(
    cluster: &Cluster,
    resource_type: i8,
    name: &str,
    base: impl FnOnce(&TopicConfig) -> TopicConfig,
    changes: impl IntoIterator<Item = Result<(&'a str, Change<'a>), Refusal>>,
    is_trial: bool,
) -> Result<(), Refusal> {
    if resource_type != TOPIC {
        let why = format!("resource type {resource_type} has no settings that can be changed here");
        return Err((ResponseError::InvalidRequest, why));
    }
    let topic = cluster
        .topic(name)
        .ok_or_else(|| (ResponseError::UnknownTopicOrPartition, String::new()))?;
    let changes: Vec<(&str, Change<'_>)> = changes.into_iter().collect::<Result<_, _>>()?;
    let changed = base(&topic.config())
        .with(changes)
        .map_err(|why| (ResponseError::InvalidConfig, why))?;
    if !is_trial {
        topic.set_config(changed);
    }
    Ok(())
}

/// The older request: what it does not name goes back to its default.
pub fn replace(cluster: &Cluster, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let responses = request.resources.into_iter().map(|resource| {
        let changes = resource.configs.iter().map(|config| {
            let value = config
                .value
                .as_ref()
                .map_or(Change::Delete, |value| Change::Set(value.as_str()));
            Ok((config.name.as_str(), value))
        });
        let base = |_: &TopicConfig| TopicConfig::default();
        let kind = resource.resource_type;
        let changed = change(
            cluster,
            kind,
            &resource.resource_name,
            base,
            changes,
            request.validate_only,
        );
        let (error_code, error_message) = outcome(changed);
        alter_configs_response::AlterConfigsResourceResponse::default()
            .with_error_code(error_code)
            .with_error_message(error_message)
            .with_resource_type(kind)
            .with_resource_name(resource.resource_name.clone())
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

pub fn alter(cluster: &Cluster, request: IncrementalAlterConfigsRequest) -> IncrementalAlterConfigsResponse {
    let responses = request.resources.into_iter().map(|resource| {
        let changes = resource.configs.iter().map(|config| {
            let value = config.value.as_ref().map_or("", StrBytes::as_str);
            let change = match config.config_operation {
                0 => Change::Set(value),
                1 => Change::Delete,
                2 => Change::Append(value),
                3 => Change::Subtract(value),
                other => {
                    return Err((
                        ResponseError::InvalidRequest,
                        format!("Unknown operation type {other}"),
                    ));
                }
            };
            Ok((config.name.as_str(), change))
        });
        let kind = resource.resource_type;
        let changed = change(
            cluster,
            kind,
            &resource.resource_name,
            TopicConfig::clone,
            changes,
            request.validate_only,
        );
        let (error_code, error_message) = outcome(changed);
        incremental_alter_configs_response::AlterConfigsResourceResponse::default()
            .with_error_code(error_code)
            .with_error_message(error_message)
            .with_resource_type(kind)
            .with_resource_name(resource.resource_name.clone())
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

fn outcome(changed: Result<(), Refusal>) -> (i16, Option<StrBytes>) {
    match changed {
        Ok(()) => (0, None),
        Err((error, why)) => (error.code(), Some(text(why))),
    }
}
