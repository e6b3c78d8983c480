"""A headless Chromium, driven by its DevTools protocol over two pipes.

It starts one browser with a profile of its own and ends it; what pages do is the business of the checks.
"""

import base64
import contextlib
import fcntl
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading

PROGRAMS = ("chromium-headless-shell", "chromium")


def high(descriptor):
    """The same pipe under a number above nine."""
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 10)
    os.close(descriptor)
    return copy


class Chromium:
    """One browser. The names that match one of `names` lead to this machine, and no other name anywhere.

    `language` is what it says that its user reads, as every browser does that has a user; headless ones are silent.
    """

    def __init__(self, names, language=None):
        program = next(path for name in PROGRAMS if (path := shutil.which(name)))
        self._profile = tempfile.mkdtemp(prefix="countersign-interop-chromium.")
        rules = ", ".join([*(f"MAP {name} 127.0.0.1" for name in names), "MAP * ~NOTFOUND", *(f"EXCLUDE {own}" for own in ("127.0.0.1", "localhost"))])
        options = [
            "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
            f"--user-data-dir={self._profile}", f"--host-resolver-rules={rules}", "--ignore-certificate-errors",
            # The gateway must hold by itself; that this browser would ask first is no excuse.
            "--disable-features=LocalNetworkAccessChecks",
            "--remote-debugging-pipe",
        ]
        if language:
            options.append(f"--accept-lang={language}")
        if os.getuid() == 0:
            options.append("--no-sandbox")  # it refuses to run as root otherwise
        (commands, self._commands), (self._answers, answers) = os.pipe(), os.pipe()
        # Out of the way of the numbers that the browser wants; `sh` need not know numbers of two digits, bash does.
        commands, answers = high(commands), high(answers)
        # The browser reads commands from descriptor 3 and answers on descriptor 4.
        shell = f'exec "$@" 3<&{commands} 4>&{answers}'
        self._browser = subprocess.Popen(["bash", "-c", shell, "bash", program, *options, "about:blank"], pass_fds=(commands, answers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(answers)
        self._waiting, self._last, self._lock = {}, 0, threading.Lock()
        self._events = []
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._browser.terminate()
        try:
            self._browser.wait(10)
        except subprocess.TimeoutExpired:
            self._browser.kill()
            self._browser.wait()
        os.close(self._commands)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _listen(self):
        """Hands every answer to whoever waits for it; a message ends with a zero byte."""
        with open(self._answers, "rb", buffering=0) as pipe:
            rest = b""
            while data := pipe.read(1 << 16):
                *messages, rest = (rest + data).split(b"\0")
                for message in map(json.loads, messages):
                    if "method" in message:
                        self._events.append(message)
                    elif waiting := self._waiting.pop(message.get("id"), None):
                        waiting.put(message)
        for waiting in list(self._waiting.values()):
            waiting.put({"error": {"message": "the browser is gone"}})

    def call(self, method, session=None, **parameters):
        """One command of the protocol, and its result."""
        with self._lock:
            self._last += 1
            number, answer = self._last, queue.Queue()
            self._waiting[number] = answer
            command = {"id": number, "method": method, "params": parameters} | ({"sessionId": session} if session else {})
            os.write(self._commands, json.dumps(command).encode() + b"\0")
        message = answer.get(timeout=60)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']['message']}")
        return message["result"]

    def version(self):
        """Its name and version."""
        return self.call("Browser.getVersion")["product"]

    def events(self, session, *methods):
        """The parameters of every event of a tab with one of these names so far."""
        return [event["params"] for event in list(self._events) if event.get("sessionId") == session and event["method"] in methods]

    @contextlib.contextmanager
    def page(self, url="about:blank"):
        """A tab that has been sent to `url`, closed afterwards."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        try:
            session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            page = Page(self, session)
            if url != "about:blank":
                page.type(url)
                page.run("new Promise((loaded) => document.readyState === 'complete' ? loaded() : addEventListener('load', () => loaded()))")
            yield page
        finally:
            with contextlib.suppress(RuntimeError):
                self.call("Target.closeTarget", targetId=target)


class Page:
    """One tab."""

    def __init__(self, browser, session):
        self._browser, self._session = browser, session

    def type(self, url):
        """Goes where a user goes who types `url` into the address bar."""
        return self._browser.call("Page.navigate", self._session, url=url)

    def run(self, script, *, wait=True):
        """The value of a script, after its promise if it gives one."""
        result = self._browser.call("Runtime.evaluate", self._session, expression=script, awaitPromise=wait, returnByValue=wait, userGesture=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"].get("exception", {}).get("description") or result["exceptionDetails"]["text"])
        return result["result"].get("value")

    def watch(self):
        """From now on what goes wrong in the tab is kept; see `complaints`."""
        for domain in ("Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def complaints(self):
        """Uncaught exceptions, and everything that the console or the browser said of errors and warnings."""
        found = [event["exceptionDetails"].get("exception", {}).get("description") or event["exceptionDetails"]["text"] for event in self.events("Runtime.exceptionThrown")]
        found += [f"{event['type']}: {[arg.get('value', arg.get('description')) for arg in event['args']]}" for event in self.events("Runtime.consoleAPICalled") if event["type"] in ("error", "warning", "assert")]
        found += [f"{event['entry']['level']}: {event['entry']['text']} {event['entry'].get('url', '')}" for event in self.events("Log.entryAdded") if event["entry"]["level"] in ("error", "warning")]
        return found

    def events(self, *methods):
        """The parameters of the tab's events with one of these names."""
        return self._browser.events(self._session, *methods)

    def call(self, method, **parameters):
        """One command of the protocol to this tab."""
        return self._browser.call(method, self._session, **parameters)

    def look(self, width, height=900, *, dark=False, scripts=True):
        """Makes the tab so many points wide, as a reader who wants it light or dark, with scripts or without."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)

    def press(self, key, code=None, modifiers=0):
        """A key, pressed and let go: `Tab`, `Escape`, `Enter`, or a character."""
        virtual = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowUp": 38, "ArrowDown": 40}.get(key, ord(key[0].upper()))
        text = {"text": "\r" if key == "Enter" else key} if len(key) == 1 or key == "Enter" else {}
        common = {"key": key, "code": code or key, "windowsVirtualKeyCode": virtual, "modifiers": modifiers}
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def picture(self, path, *, whole=False):
        """What of the page is in sight, or all of it, as a PNG file."""
        options = {}
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            options = {"captureBeyondViewport": True, "clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}
        shot = self.call("Page.captureScreenshot", format="png", **options)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))
