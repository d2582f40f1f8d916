// What the checks of the console share: pages that are watched for errors, and the things that they look at.

const fs = require('fs')
const path = require('path')
const waitMillis = 20000

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
    this.hostile = hostile
  }

  // open gives a page of a browser of its own, or of one that is given.
  async open(where, o = {}) {
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
    this.last = page
    this.watch(page, o.expected || [])
    await page.goto((o.base || this.base) + where, { waitUntil: 'load' })
    if (!o.bare) await page.locator('main h1').first().waitFor({ timeout: waitMillis })
    return page
  }

  watch(page, expected) {
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
    const r = await fetch(this.base + at)
    this.must(r.ok, `GET ${at}: ${r.status} ${await r.clone().text()}`)
    return r.json()
  }
  async send(method, at, body, root) {
    const r = await fetch((root || this.base) + at, { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) }).catch(e => { throw new Error(`${method} ${at}: ${e.cause || e}`) })
    this.must(r.ok, `${method} ${at}: ${r.status} ${await r.clone().text()}`)
    return r.json()
  }
  mlflow(at, body) { return this.send('POST', `/api/2.0/mlflow/${at}`, body, this.tracking) }
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
    for (let i = 0; i < 600 && (await this.get(`/api/v1/operations/${begun.operation_id}`)).state === 'running'; i++) await new Promise(f => setTimeout(f, 200))
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
    await page.waitForFunction(() => !document.querySelector('.skeleton'), null, { timeout: waitMillis })
    await page.waitForTimeout(150)
  }
}

// unasked waits until a page has asked nothing of some addresses for a while: what it shows of them, it has read.
World.prototype.unasked = async function (page, reads) {
  let under = 0
  let last = Date.now()
  const on = (event, by) => page.on(event, r => { if (reads(new URL(r.url()))) { under += by; last = Date.now() } })
  on('request', 1)
  on('requestfinished', -1)
  on('requestfailed', -1)
  while (under > 0 || Date.now() - last < 1000) await page.waitForTimeout(100)
}

// idle waits until no run of a workflow is under way, nor begins within a second: what is decided on a version is decided by the check alone.
World.prototype.idle = async function () {
  const ended = ['success', 'failed', 'cancelled']
  for (let quiet = 0, until = Date.now() + 120_000; quiet < 2;) {
    const { items } = await this.get('/api/v1/workflows/runs?limit=100')
    quiet = items.every(r => ended.includes(r.state)) ? quiet + 1 : 0
    this.must(Date.now() < until, `runs go on: ${items.filter(r => !ended.includes(r.state)).map(r => r.run_id)}`)
    if (quiet < 2) await new Promise(f => setTimeout(f, 1000))
  }
}

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
