//! A kind's schema as the API server enforces it, in tables.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionVersion, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool,
};

use super::markdown::{code, codes, prose, table};

/// The schema of a version.
pub fn of_version(version: &CustomResourceDefinitionVersion) -> &JSONSchemaProps {
    version.schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap()
}

/// What the kind is called and what it is.
pub fn names(crd: &CustomResourceDefinition) -> String {
    let names = &crd.spec.names;
    let version = &crd.spec.versions[0];
    format!(
        "`apiVersion: {}/{}`, `kind: {}`. Short name {}; also in `kubectl get {}`. {}",
        crd.spec.group,
        version.name,
        names.kind,
        codes(names.short_names.iter().flatten().map(String::as_str), "and"),
        names.categories.iter().flatten().next().unwrap(),
        prose(of_version(version).description.as_deref().unwrap()),
    )
}

/// The property of `schema` called `name`.
pub fn property(schema: &JSONSchemaProps, name: &str) -> JSONSchemaProps {
    schema.properties.as_ref().unwrap()[name].clone()
}

/// All fields below `schema`, nested ones under their paths.
pub fn fields(schema: &JSONSchemaProps) -> String {
    let mut rows = Vec::new();
    collect(schema, "", &immutable_fields(schema), &mut rows);
    table(["Field", "Value", "Meaning"], rows)
}

fn collect(schema: &JSONSchemaProps, path: &str, immutable: &[String], rows: &mut Vec<[String; 3]>) {
    for (name, field) in schema.properties.iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let immutable_word = immutable.contains(&path).then(|| "immutable".to_owned());
        let default = field.default.as_ref().map(|default| format!("default `{}`", default.0.as_str().unwrap()));
        let facts: Vec<String> = [value(field)].into_iter().chain(immutable_word).chain(default).collect();
        rows.push([code(&path), facts.join("; "), prose(field.description.as_deref().unwrap_or_default())]);
        // Conditions are Kubernetes' own type, and have a page.
        if path == "conditions" {
            continue;
        }
        match &field.items {
            Some(JSONSchemaPropsOrArray::Schema(items)) => collect(items, &format!("{path}[]"), immutable, rows),
            _ => collect(field, &path, immutable, rows),
        }
    }
}

/// The fields that a rule compares with their old values.
fn immutable_fields(schema: &JSONSchemaProps) -> Vec<String> {
    let rules = schema.x_kubernetes_validations.iter().flatten();
    let transitions = rules.filter(|rule| rule.rule.contains("oldSelf"));
    transitions.map(|rule| rule.field_path.as_deref().unwrap().trim_start_matches('.').to_owned()).collect()
}

/// What a field may hold, in words.
fn value(schema: &JSONSchemaProps) -> String {
    if let Some(words) = &schema.enum_ {
        return codes(words.iter().map(|word| word.0.as_str().unwrap()), "or");
    }
    match schema.type_.as_deref() {
        Some("integer") => bounds("integer", schema.minimum, schema.maximum),
        Some("boolean") => "boolean".to_owned(),
        Some("string") => text(schema),
        Some("array") => {
            let items = match &schema.items {
                Some(JSONSchemaPropsOrArray::Schema(items)) => value(items),
                other => panic!("a list of what? {other:?}"),
            };
            let most = schema.max_items.map(|most| format!("at most {most} × ")).unwrap_or_default();
            format!("list: {most}{items}")
        }
        Some("object") => match &schema.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(values)) => {
                let most = schema.max_properties.map(|most| format!("at most {most} × ")).unwrap_or_default();
                format!("map: {most}{}", value(values))
            }
            _ => "object".to_owned(),
        },
        other => panic!("a field of type {other:?}"),
    }
}

fn text(schema: &JSONSchemaProps) -> String {
    let word = match schema.format.as_deref() {
        Some("date-time") => "time",
        _ => "string",
    };
    let length = match (schema.min_length, schema.max_length) {
        (Some(min), Some(max)) => Some(format!("{min} to {max} characters")),
        (None, Some(max)) => Some(format!("at most {max} characters")),
        _ => None,
    };
    let pattern = schema.pattern.as_deref().map(code);
    [word.to_owned()].into_iter().chain(length).chain(pattern).collect::<Vec<_>>().join(", ")
}

fn bounds(word: &str, min: Option<f64>, max: Option<f64>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("{word}, {min} to {max}"),
        (Some(min), None) => format!("{word}, at least {min}"),
        (None, Some(max)) => format!("{word}, at most {max}"),
        (None, None) => word.to_owned(),
    }
}

/// Every rule of the schema, under the field that it speaks of.
pub fn rules(schema: &JSONSchemaProps) -> String {
    let mut found = BTreeMap::new();
    collect_rules(schema, "", &mut found);
    let rows = found
        .into_iter()
        .flat_map(|(path, messages)| messages.into_iter().map(move |message| [code(&path), prose(&message)]));
    table(["Field", "Rule"], rows)
}

fn collect_rules(schema: &JSONSchemaProps, path: &str, found: &mut BTreeMap<String, Vec<String>>) {
    for rule in schema.x_kubernetes_validations.iter().flatten() {
        let field = format!("{path}{}", rule.field_path.as_deref().unwrap_or_default());
        let field = if field.is_empty() { "metadata.name" } else { field.trim_start_matches('.') };
        found.entry(field.to_owned()).or_default().push(rule.message.clone().unwrap());
    }
    for (name, field) in schema.properties.iter().flatten() {
        collect_rules(field, &format!("{path}.{name}"), found);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        collect_rules(items, &format!("{path}[]"), found);
    }
}

/// What `kubectl get` shows.
pub fn columns(version: &CustomResourceDefinitionVersion) -> String {
    let columns = version.additional_printer_columns.iter().flatten();
    let rows = columns.map(|column| {
        let shown = if column.priority.unwrap_or_default() == 0 { "always" } else { "with `--output wide`" };
        [prose(&column.name), code(column.json_path.trim_start_matches('.')), shown.to_owned()]
    });
    table(["Column", "Field", "Shown"], rows)
}
