// Browsers start no worker for a page that lies on the disk, and the search is one: it runs in a hidden frame there.
// (The name is the one that mkdocs-material's plugin "offline" looks for; without it, it would fetch such a script.)
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(address) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      this.inside = frame.contentWindow;
      this.ready = new Promise((resolve) => {
        const page = this.inside.document;
        page.open();
        page.close();
        this.inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        const script = page.createElement("script");
        script.src = address;
        script.onload = resolve;
        page.body.append(script);
      });
    }
    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
