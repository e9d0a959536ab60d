//! Listings against a naive reference.

use super::*;

/// The definition of a listing, without any cleverness.
fn naive(keys: &BTreeSet<String>, query: &ListQuery) -> (Vec<(bool, String)>, bool) {
    let mut entries: Vec<(bool, String)> = Vec::new();
    for key in keys {
        let Some(rest) = key.strip_prefix(&query.prefix) else {
            continue;
        };
        let common = (!query.delimiter.is_empty())
            .then(|| rest.find(&query.delimiter))
            .flatten()
            .map(|at| format!("{}{}", query.prefix, &rest[..at + query.delimiter.len()]));
        let entry = common.map_or_else(|| (false, key.clone()), |common| (true, common));
        if entry.1 > query.after && entries.last() != Some(&entry) {
            entries.push(entry);
        }
    }
    let truncated = query.limit > 0 && entries.len() > query.limit;
    entries.truncate(query.limit);
    (entries, truncated)
}

fn flat(page: &ListPage) -> Vec<(bool, String)> {
    page.entries
        .iter()
        .map(|entry| (matches!(entry, Listed::Prefix(_)), entry.position().to_owned()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn listings_are_what_they_are_defined_to_be(
        keys in proptest::collection::btree_set("[ab/\u{e4}\u{10ffff}]{1,6}", 0..40),
        prefix in prop_oneof![3 => Just(String::new()), 2 => "[ab/\u{e4}]{0,3}"],
        delimiter in prop_oneof![Just(String::new()), Just("/".to_owned()), Just("b/".to_owned()), Just("\u{10ffff}".to_owned())],
        after in prop_oneof![Just(String::new()), "[ab/\u{e4}\u{10ffff}]{0,4}"],
        limit in 0_usize..8,
    ) {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        schema::create_tables(&connection);
        let bucket = Uuid::from_u128(7);
        for (number, key) in keys.iter().enumerate() {
            // A neighbour on either side must not be seen.
            for (offset, id) in [(0_u128, 6_u128), (1, 7), (2, 8)] {
                let content = (number as u128 * 3 + offset).to_be_bytes();
                connection
                    .execute(
                        "INSERT INTO objects (bucket, key, content, size, etag, modified, attributes)
                         VALUES (?1, ?2, ?3, 0, '', 0, '{}')",
                        rusqlite::params![bucket_key(Uuid::from_u128(id)), key.as_bytes(), content],
                    )
                    .unwrap();
            }
        }
        let query = ListQuery { prefix, delimiter, after, limit };
        let page = listing::list(&connection, bucket, &query).unwrap();
        let (expected, truncated) = naive(&keys, &query);
        prop_assert_eq!(flat(&page), expected);
        prop_assert_eq!(page.truncated, truncated);

        // Page by page, everything comes once and in order.
        if limit > 0 {
            let mut query = ListQuery { after: String::new(), ..query };
            let (whole, _) = naive(&keys, &ListQuery { limit: usize::MAX, ..query.clone() });
            let mut pages = Vec::new();
            loop {
                let page = listing::list(&connection, bucket, &query).unwrap();
                pages.extend(flat(&page));
                let Some(last) = page.entries.last().filter(|_| page.truncated) else { break };
                query.after = last.position().to_owned();
            }
            prop_assert_eq!(pages, whole);
        }
    }
}
