// Search works from file:// too: browsers start no worker there, so a frame of the same page takes its place.
// A frame has a window of its own like a worker has; what it lacks, importScripts and postMessage to its owner, is added here.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super()
      this.waiting = []
      this.frame = document.createElement("iframe")
      this.frame.hidden = true
      const start = () => {
        document.body.append(this.frame)
        const inside = this.frame.contentWindow
        inside.importScripts = (...scripts) =>
          scripts.reduce((before, script) => before.then(() => load(inside, script)), Promise.resolve())
        inside.postMessage = data => this.answer(data)
        load(inside, new URL(url, location.href).href).then(() => {
          const waiting = this.waiting
          this.waiting = null
          waiting.forEach(data => this.postMessage(data))
        })
      }
      document.body ? start() : document.addEventListener("DOMContentLoaded", start)
    }
    answer(data) {
      const event = new MessageEvent("message", { data })
      this.dispatchEvent(event)
      if (this.onmessage) this.onmessage(event)
    }
    postMessage(data) {
      if (this.waiting) this.waiting.push(data)
      else this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data }))
    }
    terminate() {
      this.frame.remove()
    }
  }

  const load = (inside, url) =>
    new Promise((done, failed) => {
      const script = inside.document.createElement("script")
      script.src = url
      script.onload = done
      script.onerror = () => failed(new Error(`cannot load ${url}`))
      inside.document.body.append(script)
    })
}
