//! All condition keys, each once; services refer to them by number.

use std::{borrow::Cow, cmp::Ordering, collections::HashMap};

use crate::{
    fold,
    kinds::{KeyCategory, KeyType},
};

/// A condition key's number. Numbers never change while a table grows.
pub(crate) type KeyId = u32;

#[derive(Clone, Debug)]
pub(crate) struct KeyRow {
    pub(crate) name: Cow<'static, str>,
    pub(crate) key_type: KeyType,
    /// Of global keys only.
    pub(crate) category: Option<KeyCategory>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct KeyTable {
    rows: Vec<KeyRow>,
    /// By name, whatever the case.
    order: Vec<KeyId>,
    /// The place of each in that order.
    ranks: Vec<u32>,
    /// Those with a variable part, by name.
    templates: Vec<TemplateKey>,
}

/// A key with a variable part, and the lengths of the fixed text around that.
#[derive(Clone, Copy, Debug)]
struct TemplateKey {
    id: KeyId,
    before: usize,
    after: usize,
}

impl KeyTable {
    /// Reads lines `NAME TYPE [CATEGORY]`.
    pub(crate) fn read(lines: &'static str) -> Self {
        let mut table = Self::default();
        for line in lines.lines() {
            let mut words = line.split('\t');
            let (Some(name), Some(key_type)) = (words.next(), words.next().and_then(KeyType::from_name)) else {
                continue;
            };
            let category = words.next().and_then(KeyCategory::from_name);
            table.rows.push(KeyRow {
                name: Cow::Borrowed(name),
                key_type,
                category,
            });
        }
        table.index();
        table
    }

    /// Adds keys. One that is there already gets the new type and keeps its number; a global key stays global.
    pub(crate) fn extend(&mut self, rows: impl IntoIterator<Item = KeyRow>) {
        let mut places: HashMap<String, usize> = HashMap::new();
        for (place, row) in self.rows.iter().enumerate() {
            places.insert(row.name.to_ascii_lowercase(), place);
        }
        for row in rows {
            let next = self.rows.len();
            let place = *places.entry(row.name.to_ascii_lowercase()).or_insert(next);
            match self.rows.get_mut(place) {
                Some(known) => {
                    known.key_type = row.key_type;
                    known.category = row.category.or(known.category);
                }
                None => self.rows.push(row),
            }
        }
        self.index();
    }

    fn index(&mut self) {
        self.order = (0..).take(self.rows.len()).collect();
        let rows = &self.rows;
        let name = |id: KeyId| rows.get(index(id)).map_or("", |row| row.name.as_ref());
        self.order.sort_by(|a, b| fold::compare(name(*a), name(*b)));
        self.ranks = vec![0; self.rows.len()];
        for (rank, id) in (0..).zip(&self.order) {
            if let Some(place) = self.ranks.get_mut(index(*id)) {
                *place = rank;
            }
        }
        let templates = self.order.iter().filter_map(|id| {
            let (before, after) = split_template(name(*id))?;
            let (before, after) = (before.len(), after.len());
            Some(TemplateKey { id: *id, before, after })
        });
        self.templates = templates.collect();
    }

    /// The key's place by name among all.
    pub(crate) fn rank(&self, id: KeyId) -> u32 {
        self.ranks.get(index(id)).copied().unwrap_or(u32::MAX)
    }

    pub(crate) fn row(&self, id: KeyId) -> Option<&KeyRow> {
        self.rows.get(index(id))
    }

    fn name(&self, id: KeyId) -> &str {
        self.row(id).map_or("", |row| row.name.as_ref())
    }

    /// All, by name.
    pub(crate) fn ids(&self) -> &[KeyId] {
        &self.order
    }

    /// The key that is written so, whatever the case.
    pub(crate) fn exact(&self, name: &str) -> Option<KeyId> {
        let place = self
            .order
            .binary_search_by(|id| fold::compare(self.name(*id), name))
            .ok()?;
        self.order.get(place).copied()
    }

    /// The key that a policy's text names: as written, or the template that it fits with the longest fixed part.
    pub(crate) fn find(&self, name: &str) -> Option<KeyId> {
        self.exact(name).or_else(|| {
            let fitting = self.templates.iter().filter_map(|template| {
                let key = self.name(template.id);
                let before = key.get(..template.before)?;
                let after = key.get(key.len().checked_sub(template.after)?..)?;
                let fixed = template.before.saturating_add(template.after);
                let fits = name.len() > fixed && fold::starts_with(name, before) && fold::ends_with(name, after);
                fits.then_some((fixed, template.id))
            });
            // On equal lengths the first by name, so that the answer is always the same.
            fitting
                .min_by_key(|(fixed, _)| std::cmp::Reverse(*fixed))
                .map(|(_, id)| id)
        })
    }

    /// The keys `prefix:…`, by name.
    pub(crate) fn of_service(&self, prefix: &str) -> impl Iterator<Item = KeyId> + '_ {
        // In the folded order, everything that begins with `prefix:` stands together.
        let start = [prefix, ":"].concat();
        let first = self
            .order
            .partition_point(|id| fold::compare(self.name(*id), &start) == Ordering::Less);
        let rest = self.order.get(first..).unwrap_or_default();
        rest.iter()
            .copied()
            .take_while(move |id| fold::starts_with(self.name(*id), &start))
    }
}

/// A place in a list, from its number.
pub(crate) fn index(id: u32) -> usize {
    usize::try_from(id).unwrap_or(usize::MAX)
}

/// A number from a place in a list. Tables have at most a few ten thousand entries.
pub(crate) fn number(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// The fixed text before and after a key's variable part, which AWS writes `${TagKey}` or `<key>`.
pub(crate) fn split_template(name: &str) -> Option<(&str, &str)> {
    let (before, rest, close) = match (name.split_once("${"), name.split_once('<')) {
        (Some((before, rest)), _) => (before, rest, '}'),
        (None, Some((before, rest))) => (before, rest, '>'),
        (None, None) => return None,
    };
    rest.split_once(close).map(|(_, after)| (before, after))
}
