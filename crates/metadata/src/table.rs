//! The compact form of the table: text that reads and diffs well, one line an action.
//!
//! ```text
//! # Comments, up to the first empty line; then blocks, with an empty line between them. Words have tabs between them.
//! package NAME VERSION DATE
//!
//! keys                              every condition key, by name; a category makes it a global one
//! aws:PrincipalArn ARN principal
//! s3:authType String
//!
//! service s3 rcp 9241 12,60,80,9,20 Amazon S3
//!                                   prefix, `rcp` or `-` (resource control policies), bytes that follow, actions by
//!                                   level (list, read, write, tagging, permissions management), name
//! = 1 aws:RequestTag/,:authType     a list that is used more than once, to be written `=1`
//! type object arn:${Partition}:s3:::${BucketName}/${ObjectName} :BucketTag/
//! > R object!,bucket(:authType) =1  what the following actions share: level, types (`!`: required), keys
//! GetObject
//! ```
//!
//! In lists, a key that begins with `:` lacks the service's prefix, and one that ends with `/` lacks `${TagKey}`; an ARN
//! pattern that begins with `:` lacks `arn:${Partition}:PREFIX:${Region}:${Account}`; `-` is an empty list. A service's
//! block is read when it is first asked for.

use std::{
    collections::{BTreeMap, HashMap},
    sync::OnceLock,
};

use crate::{
    arn::Template,
    fold,
    keys::{KeyId, KeyTable, index, number},
    kinds::{AccessLevel, Width},
    model::{ActionModel, ServiceModel, TypeUseModel},
};

/// A stretch of a block's text.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, length: usize) -> Self {
        Self {
            start: number(start),
            end: number(start.saturating_add(length)),
        }
    }

    fn of(self, block: &str) -> &str {
        block.get(index(self.start)..index(self.end)).unwrap_or_default()
    }
}

/// A list's place in its pool.
#[derive(Clone, Copy, Debug, Default)]
struct Slice {
    start: u32,
    end: u32,
}

impl Slice {
    fn of<T>(self, pool: &[T]) -> &[T] {
        pool.get(index(self.start)..index(self.end)).unwrap_or_default()
    }
}

#[derive(Debug)]
struct ActionRow {
    name: Span,
    signature: u32,
}

/// What actions share: a `>` line.
#[derive(Debug)]
struct Signature {
    level: AccessLevel,
    uses: Slice,
    keys: Slice,
}

/// A resource type as an action accepts it.
#[derive(Debug)]
pub(crate) struct TypeUse {
    pub(crate) resource_type: u32,
    pub(crate) is_required: bool,
    keys: Slice,
}

#[derive(Debug)]
struct TypeRow {
    name: Span,
    arns: Box<[ArnPattern]>,
    keys: Slice,
}

#[derive(Debug)]
pub(crate) struct ArnPattern {
    pub(crate) text: Box<str>,
    template: OnceLock<Template>,
}

impl ArnPattern {
    fn new(text: Box<str>) -> Self {
        Self {
            text,
            template: OnceLock::new(),
        }
    }

    /// What is matched, made when it is first asked for.
    pub(crate) fn template(&self) -> &Template {
        self.template.get_or_init(|| Template::new(&self.text))
    }
}

/// One service's block, read. Its methods take the block again, because names are places in it.
#[derive(Debug, Default)]
pub(crate) struct Table {
    actions: Box<[ActionRow]>,
    signatures: Vec<Signature>,
    uses: Vec<TypeUse>,
    types: Vec<TypeRow>,
    key_pool: Vec<KeyId>,
    /// Keys with the service's prefix and those that its actions and types refer to, by name.
    keys: Vec<KeyId>,
}

impl Table {
    pub(crate) fn read(block: &str, prefix: &str, keys: &KeyTable) -> Self {
        let mut reader = Reader {
            prefix,
            keys,
            lists: HashMap::new(),
            table: Self::default(),
            key_words: HashMap::new(),
            key_slices: HashMap::new(),
            use_slices: HashMap::new(),
        };
        let mut actions = Vec::new();
        let mut start = 0_usize;
        while let Some(rest) = block.get(start..).filter(|rest| !rest.is_empty()) {
            // Most lines are an action's name alone: what ends the first word tells, in one pass.
            let word_end = rest.bytes().position(|byte| byte < b' ').unwrap_or(rest.len());
            let tail = rest.get(word_end..).unwrap_or_default();
            let length = if tail.starts_with('\t') {
                let length = rest.find('\n').unwrap_or(rest.len());
                reader.line(rest.get(..length).unwrap_or_default(), start, block);
                length
            } else {
                reader.action(rest.get(..word_end).unwrap_or_default(), start, &mut actions);
                word_end
            };
            start = start.saturating_add(length).saturating_add(1);
        }
        let mut table = reader.table;
        actions.sort_unstable_by(|(a_key, a), (b_key, b): &(u128, ActionRow)| {
            a_key
                .cmp(b_key)
                .then_with(|| fold::compare(a.name.of(block), b.name.of(block)))
        });
        table.actions = actions.into_iter().map(|(_, row)| row).collect();
        table.keys = table.key_pool.clone();
        table.keys.extend(keys.of_service(prefix));
        table.keys.sort_unstable_by_key(|id| keys.rank(*id));
        table.keys.dedup();
        table
    }

    pub(crate) fn action_count(&self) -> usize {
        self.actions.len()
    }

    pub(crate) fn action_name<'b>(&self, block: &'b str, action: usize) -> &'b str {
        self.actions.get(action).map_or("", |row| row.name.of(block))
    }

    pub(crate) fn find_action(&self, block: &str, name: &str) -> Option<usize> {
        self.actions
            .binary_search_by(|row| fold::compare(row.name.of(block), name))
            .ok()
    }

    fn signature(&self, action: usize) -> Option<&Signature> {
        self.signatures.get(index(self.actions.get(action)?.signature))
    }

    pub(crate) fn level(&self, action: usize) -> AccessLevel {
        // Every action that was read has a signature.
        self.signature(action)
            .map_or(AccessLevel::Write, |signature| signature.level)
    }

    pub(crate) fn action_keys(&self, action: usize) -> &[KeyId] {
        self.signature(action)
            .map_or(&[], |signature| signature.keys.of(&self.key_pool))
    }

    pub(crate) fn uses(&self, action: usize) -> &[TypeUse] {
        self.signature(action)
            .map_or(&[], |signature| signature.uses.of(&self.uses))
    }

    pub(crate) fn use_keys(&self, type_use: &TypeUse) -> &[KeyId] {
        type_use.keys.of(&self.key_pool)
    }

    pub(crate) fn type_count(&self) -> usize {
        self.types.len()
    }

    pub(crate) fn type_name<'b>(&self, block: &'b str, resource_type: usize) -> &'b str {
        self.types.get(resource_type).map_or("", |row| row.name.of(block))
    }

    pub(crate) fn find_type(&self, block: &str, name: &str) -> Option<usize> {
        // They are written in this order.
        self.types
            .binary_search_by(|row| fold::compare(row.name.of(block), name))
            .ok()
    }

    pub(crate) fn type_arns(&self, resource_type: usize) -> &[ArnPattern] {
        self.types.get(resource_type).map_or(&[], |row| &row.arns)
    }

    pub(crate) fn type_keys(&self, resource_type: usize) -> &[KeyId] {
        self.types
            .get(resource_type)
            .map_or(&[], |row| row.keys.of(&self.key_pool))
    }

    pub(crate) fn keys(&self) -> &[KeyId] {
        &self.keys
    }
}

struct Reader<'r> {
    prefix: &'r str,
    keys: &'r KeyTable,
    /// The `=` lines.
    lists: HashMap<&'r str, &'r str>,
    /// Keys and lists already read, by their text.
    key_words: HashMap<&'r str, Option<KeyId>>,
    key_slices: HashMap<&'r str, Slice>,
    use_slices: HashMap<&'r str, Slice>,
    table: Table,
}

impl<'r> Reader<'r> {
    fn action(&self, name: &str, start: usize, actions: &mut Vec<(u128, ActionRow)>) {
        if let Some(signature) = self.table.signatures.len().checked_sub(1) {
            let row = ActionRow {
                name: Span::new(start, name.len()),
                signature: number(signature),
            };
            actions.push((fold::sort_key(name), row));
        }
    }

    /// Reads a line of several words. What is not understood is left out: the block is ours, and a test reads it all.
    fn line(&mut self, line: &'r str, start: usize, block: &'r str) {
        let mut words = line.split('\t');
        let (Some(first), Some(second)) = (words.next(), words.next()) else {
            return;
        };
        match first {
            "=" => {
                self.lists.insert(second, words.next().unwrap_or_default());
            }
            "type" => {
                let name = Span::new(start.saturating_add("type\t".len()), second.len());
                let arns = words.next().unwrap_or_default().split(',');
                let arns = arns.map(|arn| match arn.strip_prefix(':') {
                    Some(rest) => [DEFAULT_ARN.0, self.prefix, DEFAULT_ARN.1, rest].concat().into(),
                    None => arn.into(),
                });
                let arns = arns.map(ArnPattern::new).collect();
                let keys = self.key_list(words.next().unwrap_or("-"));
                self.table.types.push(TypeRow { name, arns, keys });
            }
            ">" => {
                let Some(level) = AccessLevel::from_letter(second) else {
                    return;
                };
                let uses = self.use_list(words.next().unwrap_or("-"), block);
                let keys = self.key_list(words.next().unwrap_or("-"));
                self.table.signatures.push(Signature { level, uses, keys });
            }
            _ => {}
        }
    }

    fn resolve(&self, text: &'r str) -> &'r str {
        let list = text.strip_prefix('=').and_then(|name| self.lists.get(name));
        list.copied().unwrap_or(text)
    }

    fn key_list(&mut self, text: &'r str) -> Slice {
        if text == "-" {
            return Slice::default();
        }
        if let Some(known) = self.key_slices.get(text) {
            return *known;
        }
        let start = number(self.table.key_pool.len());
        for word in self.resolve(text).split(',') {
            let id = self.key_words.entry(word).or_insert_with(|| {
                let start = if word.starts_with(':') { self.prefix } else { "" };
                let end = if word.ends_with('/') { TAG_KEY } else { "" };
                self.keys.exact(&[start, word, end].concat())
            });
            self.table.key_pool.extend(*id);
        }
        let end = number(self.table.key_pool.len());
        let slice = Slice { start, end };
        self.key_slices.insert(text, slice);
        slice
    }

    fn use_list(&mut self, text: &'r str, block: &'r str) -> Slice {
        if text == "-" {
            return Slice::default();
        }
        if let Some(known) = self.use_slices.get(text) {
            return *known;
        }
        let mut uses = Vec::new();
        let mut rest = self.resolve(text);
        while !rest.is_empty() {
            // Commas stand between the keys in parentheses, too.
            let end = rest.find([',', '(']).unwrap_or(rest.len());
            let (name, tail) = rest.split_at_checked(end).unwrap_or((rest, ""));
            let (keys, tail) = match tail.strip_prefix('(').and_then(|tail| tail.split_once(')')) {
                Some((keys, tail)) => (keys, tail),
                None => ("-", tail),
            };
            rest = tail.strip_prefix(',').unwrap_or_default();
            let (name, is_required) = name.strip_suffix('!').map_or((name, false), |name| (name, true));
            if let Some(resource_type) = self.table.find_type(block, name) {
                let keys = self.key_list(keys);
                uses.push(TypeUse {
                    resource_type: number(resource_type),
                    is_required,
                    keys,
                });
            }
        }
        let start = number(self.table.uses.len());
        self.table.uses.append(&mut uses);
        let end = number(self.table.uses.len());
        let slice = Slice { start, end };
        self.use_slices.insert(text, slice);
        slice
    }
}

/// What most ARN patterns begin with, around the service's prefix.
const DEFAULT_ARN: (&str, &str) = ("arn:${Partition}:", ":${Region}:${Account}:");

/// What most keys with a variable part end with.
const TAG_KEY: &str = "${TagKey}";

/// About what the name of a list costs where it is used, and the line that it stands for beside its text, in bytes.
const LIST_COSTS: (usize, usize) = (3, 5);

/// Writes a service: its first line, and its block. Equal models give equal text.
pub(crate) fn write(service: &ServiceModel) -> (String, String) {
    let mut types: Vec<_> = service.types.iter().collect();
    types.sort_by(|a, b| fold::compare(&a.name, &b.name));
    let mut groups: BTreeMap<(AccessLevel, String, String), Vec<&ActionModel>> = BTreeMap::new();
    let mut counts: HashMap<String, usize> = HashMap::new();
    let mut count = |text: &str| {
        let count = counts.entry(text.to_owned()).or_default();
        *count = count.saturating_add(1);
    };
    for resource_type in &types {
        count(&write_keys(&resource_type.keys, &service.prefix));
    }
    for action in &service.actions {
        let uses = write_uses(&action.types, |keys| write_keys(keys, &service.prefix));
        let keys = write_keys(&action.keys, &service.prefix);
        let group = groups.entry((action.level, uses, keys)).or_default();
        group.push(action);
    }
    for ((_, uses, keys), actions) in &groups {
        count(uses);
        count(keys);
        // A list of types that is written once itself counts once, with the keys inside it.
        for type_use in actions.first().map_or(&[][..], |action| &action.types) {
            count(&write_keys(&type_use.keys, &service.prefix));
        }
    }

    let mut lists = Lists {
        counts,
        numbers: HashMap::new(),
        lines: String::new(),
    };
    let mut body = String::new();
    for resource_type in types {
        let start = [DEFAULT_ARN.0, &service.prefix, DEFAULT_ARN.1].concat();
        let arns: Vec<String> = resource_type
            .arns
            .iter()
            .map(|arn| match arn.strip_prefix(&start) {
                Some(rest) => [":", rest].concat(),
                None => arn.clone(),
            })
            .collect();
        let keys = lists.name(&write_keys(&resource_type.keys, &service.prefix), None);
        line(&mut body, &["type", &resource_type.name, &arns.join(","), &keys]);
    }
    for ((level, uses, keys), mut actions) in groups {
        // Interned under the plain text, written with the names of the lists inside.
        let inner = actions.first().map_or_else(String::new, |action| {
            write_uses(&action.types, |keys| {
                lists.name(&write_keys(keys, &service.prefix), None)
            })
        });
        let uses = lists.name(&uses, Some(&inner));
        let keys = lists.name(&keys, None);
        line(&mut body, &[">", level.letter(), &uses, &keys]);
        actions.sort_by(|a, b| fold::compare(&a.name, &b.name));
        for action in actions {
            line(&mut body, &[&action.name]);
        }
    }
    let rcp = if service.supports_resource_control_policies {
        "rcp"
    } else {
        "-"
    };
    let block = [lists.lines, body].concat();
    let mut head = String::new();
    let length = block.len().to_string();
    let width = service.width();
    let counts = AccessLevel::ALL.map(|level| width.count(level).to_string()).join(",");
    line(
        &mut head,
        &["service", &service.prefix, rcp, &length, &counts, &service.name],
    );
    (head, block)
}

struct Lists {
    counts: HashMap<String, usize>,
    numbers: HashMap<String, usize>,
    lines: String,
}

impl Lists {
    /// How a list is written: itself, or `=N` where that is shorter over all. `inner` is what its line holds.
    fn name(&mut self, text: &str, inner: Option<&str>) -> String {
        let inner = inner.unwrap_or(text);
        let count = self.counts.get(text).copied().unwrap_or_default();
        let (name, line) = LIST_COSTS;
        let named = count
            .saturating_mul(name)
            .saturating_add(line)
            .saturating_add(text.len());
        if named >= count.saturating_mul(text.len()) {
            return inner.to_owned();
        }
        let next = self.numbers.len().saturating_add(1);
        let number = *self.numbers.entry(text.to_owned()).or_insert(next);
        if number == next {
            self::line(&mut self.lines, &["=", &number.to_string(), inner]);
        }
        format!("={number}")
    }
}

/// Writes words with tabs between them, without empty lists at the end.
fn line(text: &mut String, words: &[&str]) {
    let words = match words.iter().rposition(|word| *word != "-") {
        Some(last) if words.len() > 2 => words.get(..=last).unwrap_or(words),
        _ => words,
    };
    text.push_str(&words.join("\t"));
    text.push('\n');
}

fn write_keys(keys: &[String], prefix: &str) -> String {
    if keys.is_empty() {
        return "-".to_owned();
    }
    let mut keys: Vec<&String> = keys.iter().collect();
    keys.sort_by(|a, b| fold::compare(a, b));
    let words = keys.into_iter().map(|key| {
        let own = key.strip_prefix(prefix).filter(|rest| rest.starts_with(':'));
        let word = own.unwrap_or(key);
        word.strip_suffix(TAG_KEY)
            .filter(|head| head.ends_with('/'))
            .unwrap_or(word)
    });
    words.collect::<Vec<_>>().join(",")
}

fn write_uses(uses: &[TypeUseModel], mut keys: impl FnMut(&[String]) -> String) -> String {
    if uses.is_empty() {
        return "-".to_owned();
    }
    let mut uses: Vec<&TypeUseModel> = uses.iter().collect();
    uses.sort_by(|a, b| fold::compare(&a.name, &b.name));
    let words = uses.into_iter().map(|type_use| {
        let required = if type_use.is_required { "!" } else { "" };
        if type_use.keys.is_empty() {
            [&type_use.name, required].concat()
        } else {
            [&type_use.name, required, "(", &keys(&type_use.keys), ")"].concat()
        }
    });
    words.collect::<Vec<_>>().join(",")
}

/// What a service's first line says, and the rest of its block.
pub(crate) struct Head<'t> {
    pub(crate) prefix: &'t str,
    pub(crate) name: &'t str,
    pub(crate) supports_resource_control_policies: bool,
    pub(crate) width: Width,
    pub(crate) block: &'t str,
}

/// Takes the next service off a text; `None` at its end. The length in the first line spares a look at the rest.
pub(crate) fn next_service<'t>(text: &mut &'t str) -> Option<Head<'t>> {
    let (line, rest) = text.trim_start_matches('\n').split_once('\n')?;
    let mut words = line.strip_prefix("service\t")?.splitn(5, '\t');
    let prefix = words.next()?;
    let supports_resource_control_policies = words.next()? == "rcp";
    let (block, rest) = rest.split_at_checked(words.next()?.parse().ok()?)?;
    let mut width = Width::default();
    for (level, count) in AccessLevel::ALL.into_iter().zip(words.next()?.split(',')) {
        *width.count_mut(level) = count.parse().ok()?;
    }
    *text = rest;
    Some(Head {
        prefix,
        name: words.next()?,
        supports_resource_control_policies,
        width,
        block,
    })
}
