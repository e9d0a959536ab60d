//! A policy document read leniently: what is well formed is there, what is not is noted, nothing stops at the first
//! fault.

use std::borrow::Cow;
use std::ops::Range;

use irsa_policy::syntax::{Member, Node, Operator, Predicate, Quantifier, Value};

use crate::finding::Path;

/// Bytes of the text.
pub(crate) type Bytes = Range<usize>;

/// A document.
#[derive(Debug, Default)]
pub(crate) struct Tree<'t> {
    /// The whole of it.
    pub(crate) bytes: Bytes,
    /// Whether it is an object.
    pub(crate) is_object: bool,
    pub(crate) members: Vec<Name<'t>>,
    pub(crate) version: Option<Item<'t>>,
    pub(crate) has_version: bool,
    /// Where the value of `Statement` is, if there is one.
    pub(crate) statement: Option<Bytes>,
    pub(crate) statements: Vec<Statement<'t>>,
    /// Values of the wrong JSON type.
    pub(crate) mismatches: Vec<Mismatch>,
    /// Members that the language does not have.
    pub(crate) unknown: Vec<Name<'t>>,
}

/// A value of the wrong JSON type.
#[derive(Debug)]
pub(crate) struct Mismatch {
    pub(crate) bytes: Bytes,
    pub(crate) path: Path,
    pub(crate) expected: &'static str,
}

/// A member's name.
#[derive(Clone, Debug)]
pub(crate) struct Name<'t> {
    pub(crate) text: Cow<'t, str>,
    pub(crate) bytes: Bytes,
    pub(crate) path: Path,
}

/// A text, a number or a boolean.
#[derive(Clone, Debug)]
pub(crate) struct Item<'t> {
    pub(crate) text: Cow<'t, str>,
    pub(crate) form: Form,
    pub(crate) bytes: Bytes,
    pub(crate) path: Path,
}

/// What a condition value is in JSON.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Text,
    Number,
    Bool,
}

/// An element whose value is a text or a list of texts.
#[derive(Clone, Debug)]
pub(crate) struct List<'t> {
    pub(crate) name: Name<'t>,
    pub(crate) value: Bytes,
    /// How many entries an array has, those of a wrong type included; `None` if there is no array.
    pub(crate) entries: Option<usize>,
    pub(crate) items: Vec<Item<'t>>,
}

/// `Principal` or `NotPrincipal`.
#[derive(Clone, Debug)]
pub(crate) struct Principal<'t> {
    pub(crate) name: Name<'t>,
    pub(crate) value: Bytes,
    /// A bare string.
    pub(crate) text: Option<Item<'t>>,
    /// By type.
    pub(crate) typed: Vec<List<'t>>,
}

/// `Condition`.
#[derive(Clone, Debug)]
pub(crate) struct Block<'t> {
    pub(crate) name: Name<'t>,
    pub(crate) value: Bytes,
    /// How many members it has, those of a wrong type included.
    pub(crate) entries: usize,
    /// The operators, with where their objects are and how many keys these have.
    pub(crate) operators: Vec<(Name<'t>, Bytes, usize)>,
    pub(crate) conditions: Vec<Condition<'t>>,
}

/// One key under one operator.
#[derive(Clone, Debug)]
pub(crate) struct Condition<'t> {
    pub(crate) operator_name: Name<'t>,
    /// `None` for a name that is no operator.
    pub(crate) operator: Option<Operator>,
    pub(crate) key: Name<'t>,
    /// Whether its operator has no other key, and so can be exchanged for it.
    pub(crate) is_alone: bool,
    pub(crate) value: Bytes,
    /// How many entries an array has, those of a wrong type included; `None` if there is no array.
    pub(crate) entries: Option<usize>,
    pub(crate) values: Vec<Item<'t>>,
}

/// A statement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statement<'t> {
    pub(crate) bytes: Bytes,
    pub(crate) path: Path,
    pub(crate) sid: Option<Item<'t>>,
    pub(crate) effect: Option<Item<'t>>,
    pub(crate) has_effect: bool,
    pub(crate) principal: Option<Principal<'t>>,
    pub(crate) not_principal: Option<Principal<'t>>,
    pub(crate) action: Option<List<'t>>,
    pub(crate) not_action: Option<List<'t>>,
    pub(crate) resource: Option<List<'t>>,
    pub(crate) not_resource: Option<List<'t>>,
    pub(crate) condition: Option<Block<'t>>,
}

impl<'t> Statement<'t> {
    pub(crate) fn allows(&self) -> bool {
        self.effect.as_ref().is_some_and(|effect| effect.text == "Allow")
    }

    pub(crate) fn denies(&self) -> bool {
        self.effect.as_ref().is_some_and(|effect| effect.text == "Deny")
    }

    /// `Action` and `NotAction`, those that are there.
    pub(crate) fn action_lists(&self) -> impl Iterator<Item = &List<'t>> {
        self.action.iter().chain(&self.not_action)
    }

    /// `Resource` and `NotResource`, those that are there.
    pub(crate) fn resource_lists(&self) -> impl Iterator<Item = &List<'t>> {
        self.resource.iter().chain(&self.not_resource)
    }

    /// `Principal` and `NotPrincipal`, those that are there.
    pub(crate) fn principals(&self) -> impl Iterator<Item = &Principal<'t>> {
        self.principal.iter().chain(&self.not_principal)
    }

    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Condition<'t>> {
        self.condition.iter().flat_map(|block| &block.conditions)
    }

    /// The conditions on a key, in any case.
    pub(crate) fn conditions_on<'s>(&'s self, key: &'s str) -> impl Iterator<Item = &'s Condition<'t>> {
        self.conditions().filter(move |condition| condition.is_on(key))
    }
}

impl Condition<'_> {
    pub(crate) fn is_on(&self, key: &str) -> bool {
        self.key.text.eq_ignore_ascii_case(key)
    }

    /// Whether the operator is `Null`.
    pub(crate) fn is_null(&self) -> bool {
        self.operator
            .is_some_and(|operator| operator.predicate == Predicate::Null)
    }

    /// Whether the condition is met by a request that does not have the key.
    pub(crate) fn holds_when_absent(&self) -> bool {
        let Some(operator) = self.operator else {
            return false;
        };
        if operator.predicate == Predicate::Null {
            return self.values.iter().any(|value| value.text.eq_ignore_ascii_case("true"));
        }
        match operator.quantifier {
            Quantifier::All => true,
            Quantifier::Any => false,
            Quantifier::None => operator.negated || operator.if_exists,
        }
    }

    /// Whether the operator reads `*` and `?` as wildcards.
    pub(crate) fn has_wildcards(&self) -> bool {
        self.operator
            .is_some_and(|operator| matches!(operator.predicate, Predicate::StringLike | Predicate::Arn))
    }
}

impl<'t> Principal<'t> {
    /// The entries of one type.
    pub(crate) fn of<'s>(&'s self, kind: &'s str) -> impl Iterator<Item = &'s Item<'t>> {
        self.typed
            .iter()
            .filter(move |list| list.name.text == kind)
            .flat_map(|list| &list.items)
    }

    /// All entries with their types.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &Item<'t>)> {
        self.typed
            .iter()
            .flat_map(|list| list.items.iter().map(|item| (&*list.name.text, item)))
    }

    /// The entry that means everyone.
    pub(crate) fn everyone(&self) -> Option<&Item<'t>> {
        self.text.iter().chain(self.of("AWS")).find(|item| item.text == "*")
    }
}

impl<'t> Tree<'t> {
    pub(crate) fn new(node: Node<'t>) -> Self {
        let mut tree = Self {
            bytes: node.start..node.end,
            ..Self::default()
        };
        let root = Path::default();
        let Value::Object(members) = node.value else {
            tree.mismatch(node.start..node.end, root, "Object");
            return tree;
        };
        tree.is_object = true;
        for member in members {
            let name = name(&root, &member);
            let path = root.member(&*member.name);
            tree.members.push(name.clone());
            match &*member.name {
                "Version" => {
                    tree.has_version = true;
                    tree.version = tree.text(path, member.node);
                }
                "Id" => {
                    tree.text(path, member.node);
                }
                "Statement" => tree.read_statements(path, member.node),
                _ => tree.unknown.push(name),
            }
        }
        tree
    }

    fn mismatch(&mut self, bytes: Bytes, path: Path, expected: &'static str) {
        self.mismatches.push(Mismatch { bytes, path, expected });
    }

    fn read_statements(&mut self, path: Path, node: Node<'t>) {
        self.statement = Some(node.start..node.end);
        match node.value {
            Value::Object(members) => {
                let statement = self.read_statement(path, node.start..node.end, members);
                self.statements.push(statement);
            }
            Value::Array(nodes) => {
                for (index, node) in nodes.into_iter().enumerate() {
                    let path = path.index(index);
                    let bytes = node.start..node.end;
                    if let Value::Object(members) = node.value {
                        let statement = self.read_statement(path, bytes, members);
                        self.statements.push(statement);
                    } else {
                        self.mismatch(bytes, path, "Object");
                    }
                }
            }
            _ => self.mismatch(node.start..node.end, path, "Object or Array of objects"),
        }
    }

    fn read_statement(&mut self, path: Path, bytes: Bytes, members: Vec<Member<'t>>) -> Statement<'t> {
        let mut statement = Statement {
            bytes,
            path: path.clone(),
            ..Statement::default()
        };
        for member in members {
            let here = path.member(&*member.name);
            let name = name(&path, &member);
            match &*member.name {
                "Sid" => statement.sid = self.text(here, member.node),
                "Effect" => {
                    statement.has_effect = true;
                    statement.effect = self.text(here, member.node);
                }
                "Principal" => statement.principal = self.principal(name, here, member.node),
                "NotPrincipal" => statement.not_principal = self.principal(name, here, member.node),
                "Action" => statement.action = Some(self.list(name, here, member.node)),
                "NotAction" => statement.not_action = Some(self.list(name, here, member.node)),
                "Resource" => statement.resource = Some(self.list(name, here, member.node)),
                "NotResource" => statement.not_resource = Some(self.list(name, here, member.node)),
                "Condition" => statement.condition = self.block(name, here, member.node),
                _ => self.unknown.push(name),
            }
        }
        statement
    }

    fn text(&mut self, path: Path, node: Node<'t>) -> Option<Item<'t>> {
        let bytes = node.start..node.end;
        if let Value::Text(text) = node.value {
            return Some(Item {
                text,
                form: Form::Text,
                bytes,
                path,
            });
        }
        self.mismatch(bytes, path, "String");
        None
    }

    fn list(&mut self, name: Name<'t>, path: Path, node: Node<'t>) -> List<'t> {
        let value = node.start..node.end;
        let entries = entries(&node);
        let items = match node.value {
            Value::Array(nodes) => nodes
                .into_iter()
                .enumerate()
                .filter_map(|(index, node)| self.text(path.index(index), node))
                .collect(),
            _ => self.text(path, node).into_iter().collect(),
        };
        List {
            name,
            value,
            entries,
            items,
        }
    }

    fn principal(&mut self, name: Name<'t>, path: Path, node: Node<'t>) -> Option<Principal<'t>> {
        let value = node.start..node.end;
        let mut principal = Principal {
            name,
            value: value.clone(),
            text: None,
            typed: Vec::new(),
        };
        match node.value {
            Value::Object(members) => {
                for member in members {
                    let here = path.member(&*member.name);
                    let name = self::name(&path, &member);
                    let list = self.list(name, here, member.node);
                    principal.typed.push(list);
                }
            }
            Value::Text(text) => {
                principal.text = Some(Item {
                    text,
                    form: Form::Text,
                    bytes: value,
                    path,
                });
            }
            _ => {
                self.mismatch(value, path, "Object");
                return None;
            }
        }
        Some(principal)
    }

    fn block(&mut self, name: Name<'t>, path: Path, node: Node<'t>) -> Option<Block<'t>> {
        let value = node.start..node.end;
        let Value::Object(members) = node.value else {
            self.mismatch(value, path, "Object");
            return None;
        };
        let mut block = Block {
            name,
            value,
            entries: members.len(),
            operators: Vec::new(),
            conditions: Vec::new(),
        };
        for operator in members {
            let operator_name = self::name(&path, &operator);
            let operator_path = path.member(&*operator.name);
            let bytes = operator.node.start..operator.node.end;
            let Value::Object(keys) = operator.node.value else {
                self.mismatch(bytes, operator_path, "Object");
                continue;
            };
            block.operators.push((operator_name.clone(), bytes, keys.len()));
            let is_alone = keys.len() == 1;
            for member in keys {
                let key = self::name(&operator_path, &member);
                let here = operator_path.member(&*member.name);
                let condition = self.condition(operator_name.clone(), key, here, member.node);
                block.conditions.push(Condition { is_alone, ..condition });
            }
        }
        Some(block)
    }

    fn condition(&mut self, operator: Name<'t>, key: Name<'t>, path: Path, node: Node<'t>) -> Condition<'t> {
        let value = node.start..node.end;
        let entries = entries(&node);
        let values = match node.value {
            Value::Array(nodes) => nodes
                .into_iter()
                .enumerate()
                .filter_map(|(index, node)| self.scalar(path.index(index), node))
                .collect(),
            _ => self.scalar(path, node).into_iter().collect(),
        };
        Condition {
            operator: Operator::parse(&operator.text),
            operator_name: operator,
            key,
            is_alone: false,
            value,
            entries,
            values,
        }
    }

    fn scalar(&mut self, path: Path, node: Node<'t>) -> Option<Item<'t>> {
        let bytes = node.start..node.end;
        let (text, form) = match node.value {
            Value::Text(text) => (text, Form::Text),
            Value::Number(text) => (Cow::Borrowed(text), Form::Number),
            Value::Bool(value) => (Cow::Borrowed(if value { "true" } else { "false" }), Form::Bool),
            _ => {
                self.mismatch(bytes, path, "String, Number or Boolean");
                return None;
            }
        };
        Some(Item {
            text,
            form,
            bytes,
            path,
        })
    }
}

fn name<'t>(parent: &Path, member: &Member<'t>) -> Name<'t> {
    Name {
        text: member.name.clone(),
        bytes: member.start..member.name_end,
        path: parent.key(&*member.name),
    }
}

fn entries(node: &Node<'_>) -> Option<usize> {
    match &node.value {
        Value::Array(nodes) => Some(nodes.len()),
        _ => None,
    }
}
