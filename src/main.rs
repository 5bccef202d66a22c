//! x
fn main() { println!("{}", serde_yaml::to_string(&prism_queue::api::crd::queue().unwrap()).unwrap()); }
