"""Runs one cell in a new kernel of a Jupyter server, as a browser does: `cell.py URL TOKEN`, the cell on standard input. Prints what the cell prints."""
import json
import sys
import urllib.request as web
import uuid

import websocket

url, token, cell = sys.argv[1], sys.argv[2], sys.stdin.read()
asked = web.Request(f"{url}/api/kernels", b"{}", {"Authorization": f"token {token}", "Content-Type": "application/json"})
kernel = json.load(web.urlopen(asked, timeout=60))["id"]
socket = websocket.create_connection(
    f"{url.replace('http', 'ws', 1)}/api/kernels/{kernel}/channels", header=[f"Authorization: token {token}"], timeout=240
)
header = {"msg_id": uuid.uuid4().hex, "username": "", "session": uuid.uuid4().hex, "msg_type": "execute_request", "version": "5.3"}
content = {"code": cell, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
socket.send(json.dumps({"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}))
while True:
    answer = json.loads(socket.recv())
    if answer["parent_header"].get("msg_id") != header["msg_id"]:
        continue
    content = answer["content"]
    if answer["msg_type"] == "stream":
        print(content["text"], end="", flush=True)
    elif answer["msg_type"] == "error":
        print("\n".join(content["traceback"]), file=sys.stderr)
    elif answer["msg_type"] == "execute_reply":
        sys.exit(content["status"] != "ok")
