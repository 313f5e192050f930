//! Mayfly's real window, driven through tauri-driver and `WebKitWebDriver`: one display, one home and one bus for each.

use std::{
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, Locator, error::NewSessionError, key::Key};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use crate::{
    process::{Home, Program, program},
    xvfb::Display,
};

/// How long the window may take for anything that a person waits for.
const LIMIT: Duration = Duration::from_secs(20);
/// How long a driver may take to come up.
const START: Duration = Duration::from_secs(30);

/// What can fail: the driver's answers, and the programs around it.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// One person's screen, home and app.
#[derive(Debug)]
pub struct Desk {
    /// The screen.
    pub display: Display,
    /// Where everything the app writes lies.
    pub home: Home,
    /// More variables for the app.
    pub variables: Vec<(String, String)>,
}

impl Desk {
    /// An empty desk; with a window manager, windows can lose and gain the focus.
    ///
    /// # Errors
    /// Fails when Xvfb or openbox is missing.
    pub fn new(with_window_manager: bool) -> io::Result<Self> {
        let display = Display::start()?;
        let display = if with_window_manager { display.with_window_manager()? } else { display };
        Ok(Self { display, home: Home::new()?, variables: Vec::new() })
    }

    /// Opens the app's window.
    ///
    /// # Errors
    /// Fails when a driver does not come up, or the window does not.
    pub async fn open(&self) -> Result<Window> {
        let app = program("mayfly")?;
        let (port, native_port) = (free_port()?, free_port()?);
        let mut command = self.home.command("dbus-run-session");
        command.args(["--", &tauri_driver().to_string_lossy()]);
        command.args(["--port", &port.to_string(), "--native-port", &native_port.to_string()]);
        self.display.lend(&mut command);
        command.env("GST_PLUGIN_FEATURE_RANK", "fakeaudiosink:400").env("NO_AT_BRIDGE", "1");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        let driver = Program::start(command)?;
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("browserName".to_owned(), json!("wry"));
        capabilities.insert("tauri:options".to_owned(), json!({ "application": app }));
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities);
        let address = format!("http://127.0.0.1:{port}");
        let connect = async {
            loop {
                match builder.connect(&address).await {
                    Ok(client) => return Ok(client),
                    Err(NewSessionError::Lost(_) | NewSessionError::Failed(_) | NewSessionError::FailedC(_)) => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let client = tokio::time::timeout(START, connect).await.map_err(|_| "the window did not open in time")??;
        Ok(Window { client, driver })
    }
}

impl Desk {
    /// Opens the app's window with nobody at it but a script, which the page runs before anything of its own. No driver
    /// holds on to the page's process, which the app may replace.
    ///
    /// # Errors
    /// Fails when the app is not built, or does not start.
    pub fn open_with_script(&self, script: &str) -> Result<Program> {
        let file = self.home.root().join("script.js");
        std::fs::write(&file, script)?;
        let mut command = self.home.command("dbus-run-session");
        command.arg("--").arg(program("mayfly")?).env("MAYFLY_E2E_SCRIPT", file);
        self.display.lend(&mut command);
        command.env("GST_PLUGIN_FEATURE_RANK", "fakeaudiosink:400").env("NO_AT_BRIDGE", "1");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Ok(Program::start(command)?)
    }
}

/// The open window of an app.
#[derive(Debug)]
pub struct Window {
    client: Client,
    driver: Program,
}

impl Window {
    /// Clicks what has this test id, as soon as it can be.
    ///
    /// # Errors
    /// Fails when it never can be.
    pub async fn click(&self, id: &str) -> Result<()> {
        let click = async {
            while self.find(id).await?.click().await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Ok(())
        };
        tokio::time::timeout(LIMIT, click).await.map_err(|_| format!("{id} could not be clicked"))?
    }

    /// Types into what has this test id.
    ///
    /// # Errors
    /// Fails when it is not there.
    pub async fn write(&self, id: &str, text: &str) -> Result<()> {
        Ok(self.find(id).await?.send_keys(text).await?)
    }

    /// Presses Enter in what has this test id.
    ///
    /// # Errors
    /// Fails when it is not there.
    pub async fn enter(&self, id: &str) -> Result<()> {
        Ok(self.find(id).await?.send_keys(&char::from(Key::Enter).to_string()).await?)
    }

    /// Puts text into a field at once, as pasting does.
    ///
    /// # Errors
    /// Fails when it is not there.
    pub async fn paste(&self, id: &str, text: &str) -> Result<()> {
        self.find(id).await?;
        let script = "const field = document.querySelector(arguments[0]); field.value = arguments[1];
            field.dispatchEvent(new Event('input', { bubbles: true }));";
        self.run(script, &[json!(selector(id)), json!(text)]).await.map(drop)
    }

    async fn find(&self, id: &str) -> Result<fantoccini::elements::Element> {
        let selector = selector(id);
        let wait = self.client.wait().at_most(LIMIT).every(Duration::from_millis(50));
        Ok(wait.for_element(Locator::Css(&selector)).await.map_err(|_| format!("{id} did not appear"))?)
    }

    /// The value of a field.
    ///
    /// # Errors
    /// Fails when it is not there.
    pub async fn value(&self, id: &str) -> Result<String> {
        self.find(id).await?;
        let value = self.run("return document.querySelector(arguments[0]).value", &[json!(selector(id))]).await?;
        Ok(value.as_str().unwrap_or_default().to_owned())
    }

    /// Runs a script in the page.
    ///
    /// # Errors
    /// Fails when the script does.
    pub async fn run(&self, script: &str, arguments: &[Value]) -> Result<Value> {
        Ok(self.client.execute(script, arguments.to_vec()).await?)
    }

    /// Whether the page's source, all of it, holds a text.
    ///
    /// # Errors
    /// Fails when the window is gone.
    pub async fn shows(&self, text: &str) -> Result<bool> {
        let script =
            "return document.documentElement.outerHTML.includes(arguments[0]) || document.title.includes(arguments[0])
            || [...document.querySelectorAll('input, textarea')].some((field) => field.value.includes(arguments[0]))";
        Ok(self.run(script, &[json!(text)]).await?.as_bool().unwrap_or(false))
    }

    /// Waits until a script gives true.
    ///
    /// # Errors
    /// Fails with what the page shows when it never does.
    pub async fn until(&self, what: &str, script: &str, arguments: &[Value]) -> Result<()> {
        let wait = async {
            while !self.run(script, arguments).await?.as_bool().unwrap_or(false) {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            Ok(())
        };
        match tokio::time::timeout(LIMIT, wait).await {
            Ok(result) => result,
            Err(_) => Err(format!("{what}: it never happened").into()),
        }
    }

    /// Waits until a text stands in the page.
    ///
    /// # Errors
    /// Fails when it never does.
    pub async fn until_shows(&self, text: &str) -> Result<()> {
        self.until("a text appears", "return document.body.innerText.includes(arguments[0])", &[json!(text)]).await
    }

    /// Saves a picture of the page.
    ///
    /// # Errors
    /// Fails when the window is gone or the file cannot be written.
    pub async fn picture(&self, path: &Path) -> Result<()> {
        Ok(std::fs::write(path, self.client.screenshot().await?)?)
    }

    /// Closes the window as a person does, and waits for the driver's end.
    ///
    /// # Errors
    /// Fails when the session is gone.
    pub async fn close(self) -> Result<()> {
        self.client.clone().close().await?;
        self.driver.stop(LIMIT)?;
        Ok(())
    }

    /// Kills the app and its driver at once.
    ///
    /// # Errors
    /// Fails when they are gone.
    pub fn kill(self) -> Result<()> {
        self.driver.kill()?;
        Ok(())
    }
}

fn selector(id: &str) -> String {
    format!("[data-testid=\"{id}\"]")
}

/// A port that nobody listens on.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// `./dev` puts the driver among its tools; a person may have it elsewhere.
fn tauri_driver() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let tool = cache.map(|cache| cache.join("mayfly/tools/bin/tauri-driver")).filter(|path| path.is_file());
    tool.unwrap_or_else(|| PathBuf::from("tauri-driver"))
}
