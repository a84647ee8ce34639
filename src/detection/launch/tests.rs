use super::*;
use crate::activity::Instance;
use crate::detection::testing::{AMI, Given, context, launch, policy};

fn outside(launch: &Launch, yaml: &str) -> bool {
    let policy = policy(yaml);
    outside_scope(launch, &context(&policy, Given::none().facts())).is_some()
}

const PRODUCTION: &str = "images: {scope: {tags: [{key: env, value: \"prod*\"}]}}";
const PUBLIC: &str = "images: {scope: {subnets: [subnet-1]}}";

fn tagged(value: &str) -> Launch {
    Launch { tags: vec![("env".to_owned(), value.to_owned())], ..launch(AMI) }
}

fn placed(subnet: &str) -> Launch {
    let instance =
        Instance { id: "i-0123456789".to_owned(), subnet: Some(subnet.to_owned()), ..Instance::default() };
    Launch { instances: vec![instance], ..launch(AMI) }
}

#[test]
fn without_a_scope_everything_is_judged() {
    assert!(!outside(&launch(AMI), "{}"));
}

#[test]
fn tags_and_subnets_draw_the_scope() {
    assert!(!outside(&tagged("production"), PRODUCTION));
    assert!(outside(&tagged("test"), PRODUCTION));
    assert!(!outside(&placed("subnet-1"), PUBLIC));
    assert!(outside(&placed("subnet-2"), PUBLIC));
    let both = "images: {scope: {tags: [{key: env, value: prod}], subnets: [subnet-1]}}";
    assert!(!outside(&placed("subnet-1"), both), "either is enough");
    assert!(outside(&placed("subnet-2"), both));
}

#[test]
fn what_is_not_known_stays_in_scope() {
    let omitted = Launch { instances: Vec::new(), response_omitted: true, ..tagged("test") };
    assert!(!outside(&omitted, PRODUCTION));
    assert!(!outside(&launch(AMI), PUBLIC), "no subnet is told");
    let attempt = Launch { instances: Vec::new(), ..launch(AMI) };
    assert!(outside(&attempt, PRODUCTION), "the request tells the tags");
    let template = crate::activity::TemplateRef { id: None, name: Some("web".to_owned()), version: None };
    let templated = Launch { template: Some(template), ..attempt };
    assert!(!outside(&templated, PRODUCTION), "the template may add tags");
}

#[test]
fn at_most_twenty_instances_are_listed() {
    let instances =
        (0..50).map(|number| Instance { id: format!("i-{number:08x}"), ..Instance::default() }).collect();
    let evidence = evidence(&Launch { instances, count: 50, ..launch(AMI) }, None);
    assert_eq!(evidence["instances"].as_array().map(Vec::len), Some(20));
    assert_eq!(evidence["instance_count"], 50);
    assert!(!evidence.contains_key("image_owner"));
}
