// What the checks of the console share: pages that are watched for errors, and the things that they look at.

const fs = require('fs')
const path = require('path')
const { execFileSync } = require('child_process')
// waitMillis is how long anything is waited for, on a machine that does much else: it ends what does not come, and judges no speed.
const waitMillis = 120_000
const sleep = ms => new Promise(f => setTimeout(f, ms))

// Names that must do nothing.
const hostile = {
  img: `<img src=x onerror="window.__hit=1">`,
  js: `javascript:window.__hit=1`,
  script: `</script><script>window.__hit=1</script>`,
  rtl: `abc\u202egnp.exe`,
  long: 'long'.repeat(2500),
}

class World {
  constructor(o) {
    Object.assign(this, o)
    this.noise = []
    this.contexts = []
    this.sent = false // something that the views may not have yet
    this.hostile = hostile
  }

  // open gives a page of a browser of its own, or of one that is given.
  async open(where, o = {}) {
    await this.caught()
    const context = o.context || await this.browser.newContext({ viewport: { width: o.width || 1280, height: o.height || 800 }, colorScheme: o.theme || 'light', locale: o.locale || 'en-US', reducedMotion: o.motion || 'no-preference', serviceWorkers: 'block' })
    if (!o.context) {
      this.contexts.push(context)
      await context.grantPermissions(['clipboard-read', 'clipboard-write']).catch(() => {})
      await context.addInitScript(() => {
        window.__violations = []
        document.addEventListener('securitypolicyviolation', e => window.__violations.push(`${e.violatedDirective} ${e.blockedURI}`))
      })
    }
    const page = await context.newPage()
    page.setDefaultTimeout(waitMillis)
    this.last = page
    this.watch(page, o.expected || [])
    await page.goto((o.base || this.base) + where, { waitUntil: 'load' })
    if (!o.bare) await page.locator('main h1').first().waitFor({ timeout: waitMillis })
    return page
  }

  watch(page, expected) {
    if (!page.underWay) {
      page.underWay = new Set()
      page.asked = new Map() // addresses, and when each was last asked for or answered
      page.on('request', r => {
        if (r.isNavigationRequest() && r.frame() === page.mainFrame()) page.underWay.clear() // what the document before asked, nobody waits for
        page.underWay.add(r)
        page.asked.set(r.url(), Date.now())
      })
      for (const end of ['requestfinished', 'requestfailed']) page.on(end, r => { page.underWay.delete(r); page.asked.set(r.url(), Date.now()) })
    }
    const known = text => expected.some(part => text.includes(part))
    page.on('console', m => { if (['error', 'warning'].includes(m.type()) && !known(`${m.text()} ${m.location().url}`)) this.noise.push(`console: ${m.text().slice(0, 200)} ${m.location().url}`) })
    page.on('pageerror', e => this.noise.push(`error: ${String(e.stack).slice(0, 400)}`))
    page.on('dialog', d => { this.noise.push(`dialog: ${d.message()}`); d.dismiss() })
    page.on('request', r => { if (![this.base, this.locked, this.halted].some(b => r.url().startsWith(b + '/')) && !r.url().startsWith('data:')) this.noise.push(`a request elsewhere: ${r.url().slice(0, 200)}`) })
    page.on('response', r => { if (r.status() >= 400 && !known(`${r.status()} ${r.url()}`)) this.noise.push(`${r.status()} ${r.request().method()} ${r.url().slice(0, 300)}`) })
  }

  async violations(page) { return page.evaluate(() => window.__violations) }

  take() { return this.noise.splice(0) }
  async closeAll() { for (const c of this.contexts.splice(0)) await c.close().catch(() => {}) }
  async picture(name) { if (this.pictures_() && this.last && !this.last.isClosed()) await this.last.screenshot({ path: path.join(this.pictures_(), `${name}.png`) }).catch(() => {}) }
  pictures_() { return typeof this.pictures === 'string' ? this.pictures : this.folder }

  async get(at) {
    await this.caught()
    const r = await fetch(this.base + at)
    this.must(r.ok, `GET ${at}: ${r.status} ${await r.clone().text()}`)
    return r.json()
  }
  async send(method, at, body, root) {
    const r = await fetch((root || this.base) + at, { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }).catch(e => { throw new Error(`${method} ${at}: ${e.cause || e}`) })
    this.must(r.ok, `${method} ${at}: ${r.status} ${await r.clone().text()}`)
    this.sent = true
    return r.json()
  }
  mlflow(at, body) { return this.send('POST', `/api/2.0/mlflow/${at}`, body, this.tracking) }

  // until waits until something holds.
  async until(what, holds, every = 200) {
    for (const end = Date.now() + waitMillis; !(await holds());) {
      this.must(Date.now() < end, `${what}, after ${waitMillis / 1000} s`)
      await sleep(every)
    }
  }

  // caught waits until every view has what was sent: an answer waits for those that it concerns, and for others as long as is good for who asked.
  async caught() {
    if (!this.sent) return
    this.sent = false
    let behind = []
    await this.until('views are behind', async () => {
      behind = await fetch(`${this.base}/api/v1/views`).then(r => r.json()).then(p => p.items.filter(v => v.lag_events > 0), () => ['of no server'])
      return behind.length === 0
    }, 20)
  }
  cut() { return this.get('/api/v1/log/moment').then(m => m.cut) }
  act(user, movie) { return this.send('POST', '/api/v1/feedback', { user_id: String(user), movie_id: String(movie), interaction_type: 'like' }) }

  // seed makes what the checks look at: many runs, hostile names, an outlier, another version.
  async seed() {
    const { experiment_id } = await this.mlflow('experiments/create', { name: 'many' })
    this.experiment = experiment_id
    this.runsMany = 600
    for (let i = 0; i < this.runsMany; i += 30) {
      await Promise.all(Array.from({ length: 30 }, async (_, k) => {
        const { run } = await this.mlflow('runs/create', { experiment_id, run_name: `run ${String(i + k).padStart(4, '0')}`, start_time: 1700000000000 + (i + k) * 1000 })
        await this.mlflow('runs/log-batch', { run_id: run.info.run_id, metrics: [{ key: 'ndcg', value: ((i + k) * 37 % 600) / 600, timestamp: 1700000000000, step: 0 }], params: [{ key: 'dim', value: String(8 << ((i + k) % 4)) }] })
      }))
    }
    const bad = await this.mlflow('experiments/create', { name: hostile.img })
    const { run } = await this.mlflow('runs/create', { experiment_id: bad.experiment_id, run_name: hostile.script, start_time: 1700000000000, tags: [{ key: 'note', value: hostile.js }, { key: 'rtl', value: hostile.rtl }, { key: 'long', value: hostile.long.slice(0, 5000) }] })
    this.badRun = run.info.run_id
    this.badExperiment = bad.experiment_id
    await this.mlflow('runs/log-batch', { run_id: this.badRun, params: [{ key: 'html', value: hostile.img }], metrics: [{ key: 'big', value: 1, timestamp: 1700000000000, step: '9007199254740993' }] })
    await this.mlflow('registered-models/create', { name: 'a<b>"c', description: hostile.img })
    const long = await this.mlflow('runs/create', { experiment_id, run_name: 'outlier', start_time: 1600000000000 })
    this.outlier = long.run.info.run_id
    for (let i = 0; i < 20; i++) await this.mlflow('runs/log-batch', { run_id: this.outlier, metrics: Array.from({ length: 1000 }, (_, k) => ({ key: 'loss', value: i === 7 && k === 333 ? 1000 : 1 / (1 + i + k / 1000), timestamp: 1700000000000, step: i * 1000 + k })) })
    this.workflowRun = (await this.get('/api/v1/workflows/runs?limit=1')).items[0].run_id
    const d = await this.get('/api/v1/deployments/production')
    this.model = d.model
    this.version = d.version
    this.position = d.position
    this.run = (await this.get(`/api/v1/models/${this.model}/versions/${this.version}`)).run_id
    const begun = await fetch(`${this.base}/api/v1/ops/verify`, { method: 'POST', headers: { 'Content-Type': 'application/json', Prefer: 'respond-async' }, body: '{}' }).then(r => r.json())
    await this.until('the check of all goes on', async () => (await this.get(`/api/v1/operations/${begun.operation_id}`)).state !== 'running')
    this.pages = {
      operation: `/ui/system/operations/${begun.operation_id}`,
      overview: '/ui/', try: '/ui/try?user=1', runs: '/ui/runs', run: `/ui/runs/${this.run}`, outlier: `/ui/runs/${this.outlier}`, compare: `/ui/runs/compare?sel=${this.run},${this.outlier}`,
      models: '/ui/models', model: `/ui/models/${this.model}`, version: `/ui/models/${this.model}/${this.version}`, workflows: '/ui/workflows', workflow: '/ui/workflows/movie_training_pipeline',
      'workflow-run': `/ui/workflows/runs/${this.workflowRun}`, events: '/ui/events', records: '/ui/events/user-events', event: `/ui/events/${this.position}`, stream: `/ui/events/streams/model/${this.model}`, system: '/ui/system', groups: '/ui/events?tab=groups', 'dead-letters': '/ui/events?tab=dead', then: `/ui/models/${this.model}?known_at=${this.position}&vs_known_at=${this.position.replace(/@(\d+)$/, (_, n) => `@${n - 1}`)}`,
    }
    const { movie_id } = (await this.get('/api/v1/movies?limit=1')).items[0]
    Object.assign(this.pages, { people: '/ui/people', person: '/ui/people/1', 'person-shown': '/ui/people/1?tab=shown', films: '/ui/films', film: `/ui/films/${movie_id}`, 'film-similar': `/ui/films/${movie_id}?tab=similar` })
    const film = (await this.get('/api/v1/movies?limit=1')).items[0].movie_id
    Object.assign(this.pages, { features: '/ui/features', feature: '/ui/features/movie_features', 'feature-values': `/ui/features/movie_features?f=rating,popularity&key.movie_id=${film}&tab=values`, 'feature-figures': '/ui/features/user_features?tab=figures', definitions: '/ui/features?tab=definitions', serving: '/ui/serving', quality: '/ui/quality?window=hour' })
    if (typeof this.pictures === 'string') this.folder = this.pictures
    delete this.pictures
    if (this.folder) fs.mkdirSync(this.folder, { recursive: true })
  }

  // settled waits until nothing on a page is on its way any more.
  async settled(page) {
    const asks = () => [...page.underWay].filter(r => r.url().includes('/api/v1/') && !r.url().includes('/api/v1/live')).map(r => r.url())
    await this.until(`a page waits for an answer: ${page.url()}`, async () => asks().length === 0 && !(await page.evaluate(() => document.querySelector('.skeleton'))), 50).catch(e => { throw Object.assign(e, { message: `${e.message}: ${asks()}` }) })
    await this.pause(page, 150)
  }

  // pause is a while as a page has it: what it was to do by then it has done, and drawn.
  pause(page, ms) {
    return page.evaluate(ms => new Promise(f => setTimeout(() => {
      const frame = then => { const late = setTimeout(then, 1000); requestAnimationFrame(() => { clearTimeout(late); then() }) } // a tab that is not shown has no frames
      frame(() => frame(() => setTimeout(f)))
    }, ms)), ms)
  }

  // live waits until a page is told of what changes.
  live(page) { return page.waitForFunction(() => /mlops-events\/0:\d/.test(document.querySelector('footer.paper').textContent), null, { timeout: waitMillis }) }

  // chord presses two keys as fast as a hand.
  chord(page, ...keys) { return Promise.all(keys.map(k => page.keyboard.press(k))) }

  // trains waits until a model has another version than one, for which the pipeline is run where there is none.
  async trains(versions) {
    if ((await versions()).length > 1) return
    await this.send('POST', '/api/v1/workflows/movie_training_pipeline/runs', {})
    await this.until('there is one version alone', async () => (await versions()).length > 1)
  }
}

// unasked waits until a page has asked nothing of some addresses for a while: what it shows of them, it has read.
World.prototype.unasked = async function (page, reads) {
  const since = Date.now()
  await this.until('a page goes on asking', () => {
    const last = Math.max(since, ...[...page.asked].filter(([url]) => reads(new URL(url))).map(([, at]) => at))
    return Date.now() - last > 1000 && ![...page.underWay].some(r => reads(new URL(r.url())))
  }, 50)
}

// idle waits until no run of a workflow is under way, nor begins within a second: what is decided on a version is decided by the check alone.
World.prototype.idle = async function () {
  const ended = ['success', 'failed', 'cancelled']
  let quiet = 0
  await this.until('runs of workflows go on', async () => {
    const { items } = await this.get('/api/v1/workflows/runs?limit=100')
    quiet = items.every(r => ended.includes(r.state)) ? quiet + 1 : 0
    return quiet > 1
  }, 1000)
}

// quiet waits until, besides, nothing is written for a while: what is written next is written by the check.
World.prototype.quiet = async function () {
  await this.idle()
  let before = ''
  await this.until('the log is written to', async () => {
    const cut = await this.cut()
    const same = cut === before
    before = cut
    return same
  }, 2000)
}

// kill ends the server at once, and serve starts it again on its folder.
World.prototype.kill = () => process.kill(Number(fs.readFileSync(path.join(process.env.WORK, 'pid-main'), 'utf8')), 'SIGKILL')
World.prototype.serve = () => execFileSync(path.join(process.env.WORK, 'serve'))

// pictures keeps one of every page in both themes, and in a narrow window.
World.prototype.pictures = async function () {
  for (const [name, at] of Object.entries(this.pages)) {
    for (const [kind, o] of Object.entries({ light: {}, dark: { theme: 'dark' }, phone: { width: 390, height: 800 } })) {
      const page = await this.open(at, o)
      await this.settled(page)
      await page.screenshot({ path: path.join(this.folder, `${name}-${kind}.png`) })
      await this.closeAll()
    }
  }
}

module.exports = { World, waitMillis, hostile }
