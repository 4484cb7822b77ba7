//! mq-source
