//! The known answers of format v1, against the real code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod access;
mod files;
mod keys;
mod seals;

use serde_json::Value;

/// One part of the known answers.
fn part(name: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("../tests/vectors/vault-v1.json")).unwrap();
    all[name].clone()
}

fn hex(value: &Value) -> Vec<u8> {
    let text = value.as_str().unwrap_or_else(|| panic!("not hex: {value}"));
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    hex(value).try_into().unwrap()
}

fn key(value: &Value) -> crate::cipher::Key {
    crate::cipher::Key(array(value))
}

fn tag(value: &Value) -> crate::tag::Tag {
    crate::tag::Tag(u64::from_str_radix(value.as_str().unwrap(), 16).unwrap())
}

fn number<T: TryFrom<u64>>(value: &Value) -> T {
    T::try_from(value.as_u64().unwrap()).ok().unwrap()
}

fn rows(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().to_vec()
}

fn alg(value: &Value) -> crate::cipher::Alg {
    crate::cipher::Alg::from_byte(number(value)).unwrap()
}

/// The data that the answers seal: byte i is (i ^ i>>8 ^ i>>16) & 255.
fn data(length: usize) -> Vec<u8> {
    (0..length).map(|i| u8::try_from((i ^ i >> 8 ^ i >> 16) & 255).unwrap()).collect()
}
