//! Puts what several descriptor sets describe into one document, in which nothing collides.

use super::document::Document;
use super::schema::Components;
use super::{comments, operation, path, responses, security, status};
use crate::dialect::EnumNames;
use crate::rule::Route;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// Where components are referred to.
const SCHEMAS: &str = "#/components/schemas/";

/// The document so far.
pub(crate) struct Merged<'d> {
    document: &'d Document,
    tags: Vec<Json>,
    paths: Map<String, Json>,
    schemas: Map<String, Json>,
    /// The names of variables of paths that differ only in them, which are one path (OpenAPI 3.1, "Paths Object").
    names_by_shape: BTreeMap<String, Vec<String>>,
    /// How many operations each method has.
    operations: BTreeMap<String, usize>,
}

/// What one descriptor set describes in one dialect, with names of its own.
pub(crate) struct Part<'d> {
    components: Components<'d>,
    operations: Vec<Operation>,
}

struct Operation {
    path: String,
    method: String,
    operation: Json,
}

impl<'d> Part<'d> {
    pub(crate) fn new(document: &'d Document, enum_names: EnumNames) -> Self {
        Part { components: Components::new(&document.formats, enum_names), operations: Vec::new() }
    }
}

impl<'d> Merged<'d> {
    pub(crate) fn new(document: &'d Document) -> Self {
        Merged {
            document,
            tags: Vec::new(),
            paths: Map::new(),
            schemas: status::schemas(),
            names_by_shape: BTreeMap::new(),
            operations: BTreeMap::new(),
        }
    }

    /// Describes a route in its part, unless its path and method are taken.
    pub(crate) fn describe(&mut self, route: &Route, part: &mut Part<'d>) {
        let pieces = path::pieces(route);
        let own_names = path::names(&pieces);
        let shape = path::text(route, &pieces, &vec![String::new(); own_names.len()]);
        let names = self.names_by_shape.entry(shape).or_insert(own_names).clone();
        let path = path::text(route, &pieces, &names);
        let method = route.method.as_str().to_ascii_lowercase();
        if self.paths.get(&path).is_some_and(|item| item.get(&method).is_some()) || !is_described(&method) {
            return;
        }
        let mut operation = operation::of(route, (&pieces, &names), self.document, &mut part.components);
        operation["operationId"] = self.operation_id(route).into();
        self.tag(route);
        part.operations.push(Operation { path, method, operation });
    }

    /// The full name of the method, and a number for a further route to it.
    fn operation_id(&mut self, route: &Route) -> String {
        let name = route.rpc.descriptor.full_name();
        let count = self.operations.entry(name.to_owned()).or_default();
        *count += 1;
        if *count == 1 { name.to_owned() } else { format!("{name}.{count}") }
    }

    fn tag(&mut self, route: &Route) {
        let service = route.rpc.descriptor.parent_service();
        if self.tags.iter().all(|tag| tag["name"] != service.full_name()) {
            let description = comments::comment(&service.parent_file(), service.path());
            self.tags.push(json!({"name": service.full_name(), "description": description}));
        }
    }

    /// Adds a part, under other names where its components are other ones.
    pub(crate) fn add(&mut self, part: Part<'d>) {
        let mut operations = part.operations;
        let schemas = part.components.into_schemas();
        let others = self.others(&schemas);
        let renamed = self.renamed(&schemas, &others);
        for (name, mut schema) in schemas {
            refer(&mut schema, &renamed);
            self.schemas.insert(renamed.get(&name).cloned().unwrap_or(name), schema);
        }
        for Operation { operation, .. } in &mut operations {
            refer(operation, &renamed);
        }
        for Operation { path, method, operation } in operations {
            let item = self.paths.entry(path).or_insert_with(|| json!({}));
            item[method] = operation;
        }
    }

    /// Components whose names are taken by others: those that differ, and those that refer to such.
    fn others(&self, schemas: &Map<String, Json>) -> BTreeSet<String> {
        let known = |name: &&String| self.schemas.contains_key(*name);
        let differs = |name: &&String| self.schemas.get(*name) != schemas.get(*name);
        let mut others: BTreeSet<String> = schemas.keys().filter(known).filter(differs).cloned().collect();
        loop {
            let refers = |name: &&String| schemas.get(*name).is_some_and(|schema| refers_to(schema, &others));
            let more = schemas.keys().filter(known).filter(|name| !others.contains(*name)).filter(refers);
            let more: Vec<String> = more.cloned().collect();
            if more.is_empty() {
                return others;
            }
            others.extend(more);
        }
    }

    /// New names: the first number under which all are free, or known as the same.
    fn renamed(&self, schemas: &Map<String, Json>, others: &BTreeSet<String>) -> BTreeMap<String, String> {
        let mut number = 2;
        loop {
            let renamed: BTreeMap<String, String> =
                others.iter().map(|name| (name.clone(), format!("{name}-{number}"))).collect();
            let fits = renamed.iter().all(|(name, new)| match (self.schemas.get(new), schemas.get(name)) {
                (Some(known), Some(schema)) => {
                    let mut schema = schema.clone();
                    refer(&mut schema, &renamed);
                    *known == schema
                }
                (None, _) | (_, None) => true,
            });
            if fits {
                return renamed;
            }
            number += 1;
        }
    }

    pub(crate) fn into_json(self) -> Json {
        let Merged { document, tags, paths, schemas, .. } = self;
        let servers: Vec<Json> = document.servers.iter().map(|url| json!({"url": url})).collect();
        let mut components = responses::shared(document);
        components["schemas"] = schemas.into();
        let mut json = json!({
            "openapi": "3.1.0",
            "info": {"title": document.title, "version": document.version, "description": document.description},
            "servers": if servers.is_empty() { vec![json!({"url": "/"})] } else { servers },
            "tags": tags,
            "paths": paths,
        });
        if !document.security.is_empty() {
            components["securitySchemes"] = security::schemes(document).into();
            json["security"] = security::requirements(document).into();
        }
        json["components"] = components;
        json
    }
}

/// Whether a Path Item has a field for the method; a custom one has none.
fn is_described(method: &str) -> bool {
    ["get", "put", "post", "delete", "options", "head", "patch", "trace"].contains(&method)
}

fn refers_to(schema: &Json, names: &BTreeSet<String>) -> bool {
    match schema {
        Json::Object(fields) => fields.iter().any(|(key, value)| match (key.as_str(), value) {
            ("$ref", Json::String(reference)) => {
                reference.strip_prefix(SCHEMAS).is_some_and(|name| names.contains(name))
            }
            _ => refers_to(value, names),
        }),
        Json::Array(elements) => elements.iter().any(|element| refers_to(element, names)),
        _ => false,
    }
}

fn refer(schema: &mut Json, renamed: &BTreeMap<String, String>) {
    match schema {
        Json::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), &mut *value) {
                    ("$ref", Json::String(reference)) => {
                        if let Some(new) = reference.strip_prefix(SCHEMAS).and_then(|name| renamed.get(name)) {
                            *reference = format!("{SCHEMAS}{new}");
                        }
                    }
                    _ => refer(value, renamed),
                }
            }
        }
        Json::Array(elements) => elements.iter_mut().for_each(|element| refer(element, renamed)),
        _ => {}
    }
}
