//! stub
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
#[derive(Clone, Debug)]
pub struct AccessLog;
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Off,
    Stdout,
    File(PathBuf),
}
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Combined,
    Json,
}
#[derive(Debug)]
pub struct Record {
    pub time: SystemTime,
    pub client: String,
    pub method: String,
    pub uri: String,
    pub protocol: &'static str,
    pub status: u16,
    pub bytes: u64,
    pub referer: Option<Vec<u8>>,
    pub user_agent: Option<Vec<u8>>,
    pub host: String,
    pub request_id: String,
    pub site: Option<String>,
    pub handler: &'static str,
    pub upstream: Option<String>,
    pub cause: Option<&'static str>,
    pub complete: bool,
    pub duration: Duration,
    pub queue: Option<Duration>,
    pub connect: Option<Duration>,
    pub first_byte: Option<Duration>,
}
impl AccessLog {
    pub fn start(_: Destination, _: Format) -> std::io::Result<Self> {
        Ok(Self)
    }
    pub fn log(&self, _: &Record) {}
    pub fn reopen(&self) {}
    pub fn close(&self, _: Duration) {}
}
