//! The load against a scripted gateway and an embedded queue.

mod support;

mod dirt_pace;
mod faults;
mod load;
mod marks;
mod queues;
mod truth;
