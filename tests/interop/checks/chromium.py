"""A headless Chromium, driven by its DevTools protocol over two pipes.

It starts one browser with a profile of its own and ends it; what pages do is the business of the checks.
"""

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
                    if waiting := self._waiting.pop(message.get("id"), None):
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
