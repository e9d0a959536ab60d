//! The expressions of the policy, in CEL. They hold to the mutation line by line: see [`mutation`](crate::mutation) and [`injection`](crate::injection).
//!
//! Objects of an API server are typed: a list that is empty is absent, and nothing has another type than it should.

use irsa_core::REGION_PARTITIONS;

use crate::injection::{
    CREDENTIALS, DEFAULT_REGION, OS_LABELS, REGION, REGIONAL_STS, SESSION_NAME, TOKEN_FILE_NAME, VOLUME,
};
use crate::{RoleArnCheck, SessionName, Settings, WindowsDetection, path};

/// A text as a CEL literal: JSON's escapes are CEL's.
fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn list(texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", quoted.join(", "))
}

fn annotation(settings: &Settings, name: &str) -> String {
    quote(&format!("{}/{name}", settings.annotation_prefix))
}

/// Whether the parameter is the pod's account and has a role: name and expression.
pub(super) fn conditions(settings: &Settings) -> Vec<(&'static str, String)> {
    let role = annotation(settings, "role-arn");
    vec![
        // A server that evaluates this always put the name into the pod before, but for mirrors of static pods.
        (
            "account-of-the-pod",
            "params != null && params.metadata.name == object.spec.?serviceAccountName.orValue(\"\")".to_owned(),
        ),
        (
            "account-has-a-role",
            format!("params != null && params.metadata.?annotations[?{role}].orValue(\"\") != \"\""),
        ),
    ]
}

/// What the patch is made of; later ones use earlier ones.
pub(super) fn variables(settings: &Settings) -> Vec<(String, String)> {
    let mut all = identity(settings);
    all.extend(chosen_containers(settings));
    all.extend(volumes());
    for (name, field) in LISTS {
        all.push((format!("{name}Facts"), facts(settings, field)));
        all.push((format!("{name}Additions"), additions(settings, name)));
    }
    all
}

/// Variables' prefixes, and the lists of the pod's that they are of.
const LISTS: [(&str, &str); 2] = [("container", "containers"), ("initContainer", "initContainers")];

fn identity(settings: &Settings) -> Vec<(String, String)> {
    let key = |name: &str| annotation(settings, name);
    let role = format!("variables.accountAnnotations[{}]", key("role-arn"));
    let role = match &settings.role_arn_prefix {
        Some(prefix) => format!("({role}.contains(\"arn:\") ? \"\" : {}) + {role}", quote(prefix)),
        None => role,
    };
    let (words, negation) = if settings.regional_sts {
        (["0", "f", "F", "FALSE", "false", "False"], "!")
    } else {
        (["1", "t", "T", "TRUE", "true", "True"], "")
    };
    // Eighteen digits fit into a CEL int for certain; more make no number of seconds.
    let number = quote("^[+-]?0*[0-9]{1,18}$");
    let expiration = key("token-expiration");
    let region = settings.region().unwrap_or_default();
    let folder = path::join(&settings.token_mount_path, TOKEN_FILE_NAME);
    let mut all = vec![
        ("accountAnnotations", "params.metadata.annotations".to_owned()),
        ("podAnnotations", "object.metadata.?annotations.orValue({})".to_owned()),
        ("role", role),
        (
            "audience",
            format!(
                "variables.accountAnnotations[?{}].orValue({})",
                key("audience"),
                quote(&settings.token_audience)
            ),
        ),
        (
            "regionalSts",
            format!(
                "{negation}(variables.accountAnnotations[?{}].orValue(\"\") in {})",
                key("sts-regional-endpoints"),
                list(&words)
            ),
        ),
        (
            "wantedExpiration",
            format!(
                "int(variables.podAnnotations[?{expiration}].orValue(\"\").matches({number})\n  ? variables.podAnnotations[{expiration}]\n  : \
                 variables.accountAnnotations[?{expiration}].orValue(\"\").matches({number})\n  ? variables.accountAnnotations[{expiration}]\n  : \"{}\")",
                settings.token_expiration_seconds
            ),
        ),
        (
            "expiration",
            format!(
                "variables.wantedExpiration < {least} ? {least} : variables.wantedExpiration > {most} ? {most} : variables.wantedExpiration",
                least = Settings::MIN_TOKEN_EXPIRATION_SECONDS,
                most = settings.clamp_expiration(i64::MAX),
            ),
        ),
        (
            "region",
            format!(
                "variables.accountAnnotations[?{key}].orValue(\"\").matches(\"^[a-z0-9-]{{1,64}}$\") ? variables.accountAnnotations[{key}] : {default}",
                key = key("region"),
                default = quote(region),
            ),
        ),
        ("windows", windows(settings)),
        (
            "tokenFile",
            format!(
                "variables.windows ? {} : {}",
                quote(&path::windows(&folder)),
                quote(&folder)
            ),
        ),
    ];
    if settings.role_arn_check == RoleArnCheck::Refuse {
        let mut partition = quote("aws");
        for (prefix, name) in REGION_PARTITIONS.iter().rev() {
            partition = format!(
                "variables.region.startsWith({}) ? {} : {partition}",
                quote(prefix),
                quote(name)
            );
        }
        let form = quote("^arn:aws[a-z0-9-]*:iam::[0-9]{12}:role/[A-Za-z0-9_/.@+=,-]+$");
        all.push((
            "refused",
            format!(
                "!variables.role.matches({form}) ||\n  (variables.region != \"\" && !variables.role.startsWith(\"arn:\" + ({partition}) + \":\"))"
            ),
        ));
    }
    all.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}

fn windows(settings: &Settings) -> String {
    let selected = OS_LABELS.map(|label| {
        format!(
            "object.spec.?nodeSelector[?{}].orValue(\"\") == \"windows\"",
            quote(label)
        )
    });
    let mut alternatives = selected.to_vec();
    if settings.windows_detection == WindowsDetection::Declared {
        alternatives.push("object.spec.?os.?name.orValue(\"\") == \"windows\"".into());
        let terms = "object.spec.?affinity.?nodeAffinity.?requiredDuringSchedulingIgnoredDuringExecution.?nodeSelectorTerms.orValue([])";
        alternatives.push(format!(
            "(size({terms}) > 0 && {terms}.all(term, term.?matchExpressions.orValue([]).exists(e,\n    \
             e.key in {labels} && e.operator == \"In\" && size(e.?values.orValue([])) > 0 && e.?values.orValue([]).all(value, value == \"windows\"))))",
            labels = list(&OS_LABELS),
        ));
    }
    alternatives.join(" ||\n  ")
}

/// The lists of containers to skip and to include: the first line with anything in it, names between commas, perhaps in quotes.
fn chosen_containers(settings: &Settings) -> Vec<(String, String)> {
    let record = quote("^(\"([^\"\r]|\"\")*\"|[^\",\r]*)(,(\"([^\"\r]|\"\")*\"|[^\",\r]*))*\r?$");
    let name = quote("\"([^\"]|\"\")*\"|[^\",\r]+");
    let mut all = Vec::new();
    for (variable, annotation_name) in [("skip", "skip-containers"), ("include", "include-containers")] {
        let key = annotation(settings, annotation_name);
        let (present, account) = if settings.account_lists {
            (
                format!("({key} in variables.podAnnotations || {key} in variables.accountAnnotations)"),
                format!("variables.accountAnnotations[?{key}].orValue(\"\")"),
            )
        } else {
            (format!("{key} in variables.podAnnotations"), "\"\"".to_owned())
        };
        all.push((
            format!("{variable}Line"),
            format!(
                "variables.podAnnotations[?{key}].orValue({account}).replace(\"\\r\\n\", \"\\n\").find(\"[^\\n]+\")"
            ),
        ));
        all.push((
            format!("{variable}Counts"),
            format!("{present} && variables.{variable}Line.matches({record})"),
        ));
        all.push((
            format!("{variable}Names"),
            format!(
                "!variables.{variable}Counts ? [] :\n  variables.{variable}Line.findAll({name}).map(name, name.startsWith(\"\\\"\") ? name.substring(1, size(name) - 1).replace(\"\\\"\\\"\", \"\\\"\") : name)"
            ),
        ));
    }
    all
}

/// Which of the pod's volumes hold the token.
fn volumes() -> Vec<(String, String)> {
    let volume = quote(VOLUME);
    let file = quote(TOKEN_FILE_NAME);
    [
        ("volumes", "object.spec.?volumes.orValue([])".to_owned()),
        (
            "tokenVolumes",
            format!(
                "variables.volumes.filter(volume, has(volume.projected) && has(volume.projected.sources) && volume.projected.sources != null &&\n    \
                 volume.projected.sources.all(source, has(source.serviceAccountToken)) &&\n    \
                 size(volume.projected.sources.filter(source, source.serviceAccountToken.path == {file})) == 1 &&\n    \
                 volume.projected.sources.exists(source, source.serviceAccountToken.path == {file} &&\n      \
                 source.serviceAccountToken.?audience.orValue(\"\") == variables.audience))\n  .map(volume, volume.name)"
            ),
        ),
        ("hasVolume", format!("variables.volumes.exists(volume, volume.name == {volume})")),
        ("foreignVolume", format!("variables.hasVolume && !({volume} in variables.tokenVolumes)")),
    ]
    .map(|(name, text)| (name.to_owned(), text))
    .to_vec()
}

/// A regular expression for the ways to write a clean path: more slashes, and `.` between them. `..` is not resolved.
fn written(path: &str) -> String {
    let between = "/+(\\./+)*";
    let mut text = String::from(if path.starts_with('/') { "^" } else { "^(\\./+)*" });
    for (number, part) in path.split('/').filter(|part| !part.is_empty()).enumerate() {
        if number > 0 || path.starts_with('/') {
            text.push_str(between);
        }
        for character in part.chars() {
            if !character.is_ascii_alphanumeric() && character.is_ascii() {
                text.push('\\');
            }
            text.push(character);
        }
    }
    text
}

/// What there is to know of each container.
fn facts(settings: &Settings, field: &str) -> String {
    let folder = path::clean(&settings.token_mount_path);
    let end = "(/+\\.?)*$";
    let in_place = quote(&format!("{}{end}", written(&folder)));
    let in_the_way = quote(&format!("{}(/.*)?$", written(&path::join(&folder, TOKEN_FILE_NAME))));
    let collides = format!("mount.mountPath.matches({in_place}) || mount.mountPath.matches({in_the_way})");
    let env = |names: &[&str]| {
        format!(
            "container.?env.orValue([]).exists(variable, variable.name in {})",
            list(names)
        )
    };
    let mounts = "container.?volumeMounts.orValue([])";
    let members = [
        (
            "out",
            "container.name in variables.skipNames || (variables.includeCounts && !(container.name in variables.includeNames))".to_owned(),
        ),
        ("env", "has(container.env)".to_owned()),
        ("mounts", "has(container.volumeMounts)".to_owned()),
        ("credentials", env(&CREDENTIALS)),
        ("region", env(&[REGION, DEFAULT_REGION])),
        ("sts", env(&[REGIONAL_STS])),
        ("sessionName", env(&[SESSION_NAME])),
        ("mounted", format!("{mounts}.exists(mount, mount.name == {})", quote(VOLUME))),
        ("taken", format!("{mounts}.exists(mount, {collides})")),
        // Only the first that is in the way counts.
        (
            "sameToken",
            format!(
                "{mounts}.filter(mount, {collides}).map(mount,\n      mount.mountPath.matches({in_place}) && !has(mount.subPath) && !has(mount.subPathExpr) && \
                 mount.name in variables.tokenVolumes)\n      .transformList(i, same, i == 0 && same, true).exists(same, same)"
            ),
        ),
    ];
    format!(
        "object.spec.?{field}.orValue([]).map(container, {{\n    {}\n  }})",
        joined(&members)
    )
}

fn joined(members: &[(&str, String)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, text)| format!("{}: {text}", quote(name)))
        .collect();
    members.join(",\n    ")
}

/// What each container gets.
fn additions(settings: &Settings, name: &str) -> String {
    let refused = if settings.role_arn_check == RoleArnCheck::Refuse {
        "!variables.refused && "
    } else {
        ""
    };
    let free = "!c.mounted && !c.taken && !variables.foreignVolume";
    let blocked = "!c.mounted && (c.taken ? !c.sameToken : variables.foreignVolume)";
    let goes = format!("{refused}!c.out && !({blocked} && !c.credentials) && !(c.credentials && c.region && c.sts)");
    let mut members = vec![
        ("sts", "c.goes && variables.regionalSts && !c.sts".to_owned()),
        ("region", "c.goes && variables.region != \"\" && !c.region".to_owned()),
        ("credentials", "c.goes && !c.credentials".to_owned()),
        ("mount", "c.goes && c.mountable".to_owned()),
        (
            "newEnv",
            "c.goes && !c.env && (!c.credentials || (variables.regionalSts && !c.sts) || (variables.region != \"\" && !c.region))".to_owned(),
        ),
        ("newMounts", "c.goes && c.mountable && !c.mounts".to_owned()),
    ];
    if settings.session_name == SessionName::Pod {
        members.push(("sessionName", "c.goes && !c.credentials && !c.sessionName".to_owned()));
    }
    let kept = ["credentials", "region", "sts", "sessionName", "env", "mounts"].map(|fact| (fact, format!("c.{fact}")));
    let mut decided = vec![("goes", goes), ("mountable", free.to_owned())];
    decided.extend(kept);
    format!(
        "variables.{name}Facts.map(c, {{\n    {}\n  }}).map(c, {{\n    {}\n  }})",
        joined(&decided),
        joined(&members)
    )
}

/// The patch.
pub(super) fn patch(settings: &Settings) -> String {
    let mut operations = vec![
        (
            "!variables.hasVolume && has(object.spec.volumes)".to_owned(),
            "/spec/volumes/0",
            token_volume(),
        ),
        (
            "!variables.hasVolume && !has(object.spec.volumes)".to_owned(),
            "/spec/volumes",
            format!("[{}]", token_volume()),
        ),
    ]
    .into_iter()
    .map(|(condition, place, value)| {
        let refused = if settings.role_arn_check == RoleArnCheck::Refuse {
            "!variables.refused && "
        } else {
            ""
        };
        format!("({refused}{condition} ? [JSONPatch{{op: \"add\", path: \"{place}\", value: {value}}}] : [])")
    })
    .collect::<Vec<_>>();
    for (name, field) in LISTS {
        let each = |addition: &str, place: &str, value: &str| {
            format!(
                "variables.{name}Additions.transformList(i, c, c.{addition},\n    JSONPatch{{op: \"add\", path: \"/spec/{field}/\" + string(i) + \"/{place}\", value: {value}}})"
            )
        };
        let variable = |addition: &str, variable: &str, value: &str| {
            let entry = format!("Object.spec.{field}.env{{name: \"{variable}\", value: {value}}}");
            each(addition, "env/-", &entry)
        };
        let [first, second] = CREDENTIALS;
        operations.push(each("newEnv", "env", "[]"));
        operations.push(variable("sts", REGIONAL_STS, "\"regional\""));
        operations.push(variable("region", DEFAULT_REGION, "variables.region"));
        operations.push(variable("region", REGION, "variables.region"));
        operations.push(variable("credentials", first, "variables.role"));
        operations.push(variable("credentials", second, "variables.tokenFile"));
        if settings.session_name == SessionName::Pod {
            // A generated name has 63 characters at most, and is not there yet.
            let long = "size(object.metadata.?name.orValue(\"\")) > 64";
            let from = format!("Object.spec.{field}.env.valueFrom");
            let field_ref = format!("{from}{{fieldRef: {from}.fieldRef{{fieldPath: \"metadata.name\"}}}}");
            operations.push(format!(
                "({long} ? [] : {})",
                each(
                    "sessionName",
                    "env/-",
                    &format!("Object.spec.{field}.env{{name: \"{SESSION_NAME}\", valueFrom: {field_ref}}}")
                )
            ));
            let name = "object.metadata.name";
            let value = format!("{name}.substring(0, 47) + \"-\" + {name}.substring(size({name}) - 16)");
            operations.push(format!(
                "(!({long}) ? [] : {})",
                variable("sessionName", SESSION_NAME, &value)
            ));
        }
        operations.push(each("newMounts", "volumeMounts", "[]"));
        let mount = format!(
            "Object.spec.{field}.volumeMounts{{name: \"{VOLUME}\", readOnly: true, mountPath: {}}}",
            quote(&settings.token_mount_path)
        );
        operations.push(each("mount", "volumeMounts/-", &mount));
    }
    operations.join(" +\n")
}

fn token_volume() -> String {
    let token = "Object.spec.volumes.projected.sources.serviceAccountToken";
    format!(
        "Object.spec.volumes{{name: \"{VOLUME}\", projected: Object.spec.volumes.projected{{sources: [\n    Object.spec.volumes.projected.sources{{serviceAccountToken: \
         {token}{{?audience: variables.audience == \"\" ? optional.none() : optional.of(variables.audience),\n      expirationSeconds: variables.expiration, path: \"{TOKEN_FILE_NAME}\"}}}}]}}}}"
    )
}

/// What a pod that fails closed must have, and what is said if it has not.
pub(super) fn fail_closed(settings: &Settings) -> Vec<(String, String)> {
    let mut all = vec![(
        format!(
            "object.spec.?volumes.orValue([]).exists(volume, volume.name == \"{VOLUME}\" && has(volume.projected))"
        ),
        format!(
            "the pod is to fail closed and was given no token: its service account has no annotation {}/role-arn, or had none a moment ago",
            settings.annotation_prefix
        ),
    )];
    // Which containers an account leaves out is not known here.
    if !settings.account_lists {
        let key = |name: &str| annotation(settings, name);
        let chosen = [key("skip-containers"), key("include-containers")]
            .map(|key| format!("{key} in object.metadata.?annotations.orValue({{}})"));
        all.push((
            format!(
                "{} ||\n  (object.spec.containers + object.spec.?initContainers.orValue([])).all(container,\n    container.?env.orValue([]).exists(variable, variable.name in {}))",
                chosen.join(" || "),
                list(&CREDENTIALS)
            ),
            "the pod is to fail closed and a container was given no credentials: another volume is in the place of the token".to_owned(),
        ));
    }
    all
}
