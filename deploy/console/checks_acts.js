// Checks of what is decided here, and of what the program says of itself: nodes, leases, quarantine, rebuilds, slots, acts behind a point.
const fs = require('fs')
const path = require('path')
const { waitMillis } = require('./world.js')
const axeSource = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

module.exports = (check, w, { must, same }) => {
  const dialog = page => page.locator('dialog[open]')
  const confirm = async (page, button) => {
    await page.getByRole('button', { name: button }).click()
    await dialog(page).waitFor({ timeout: waitMillis })
  }
  const gone = async page => { // or why not
    await page.waitForFunction(() => !document.querySelector('dialog[open]') || document.querySelector('dialog[open] .fault'), null, { timeout: waitMillis })
    same(await page.evaluate(() => document.querySelector('dialog[open] .fault')?.innerText ?? ''), '', 'the fault')
  }
  const axe = async page => {
    await page.evaluate(axeSource)
    return page.evaluate(async () => (await window.axe.run(document, { resultTypes: ['violations'] })).violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v => `${v.id}: ${v.nodes[0].html.slice(0, 160)}`))
  }

  check('nodes, leases and the size of the log are told, as they were too', async () => {
    const page = await w.open('/ui/system')
    await w.settled(page)
    const nodes = await w.get('/api/v1/nodes')
    must(nodes.items.length > 0 && nodes.items.some(n => n.here), 'the API knows no node that is here')
    same(await page.locator('[data-node]').first().getAttribute('data-node'), nodes.items[0].node, 'the first node')
    must((await page.locator('main').innerText()).includes('this process'), 'this process is not told')
    const topics = (await w.get('/api/v1/log/topics')).items
    same(await page.locator('[data-partition]').count(), topics.reduce((n, t) => n + t.partitions.length, 0), 'partitions')
    must(topics.every(t => t.partitions.every(p => Number.isInteger(p.bytes))), 'bytes are missing')
    const lease = { kind: 'task', workflow_run: w.workflowRun, workflow: w.hostile.img, task: 'train', try: 2, pool: 'gpu', pool_slots: 3, process: 'p1', role: 'trainer', since_millis: 1700000000000, until_millis: 1700000060000 }
    await page.route(/\/api\/v1\/nodes/, r => r.fulfill({ contentType: 'application/json', body: JSON.stringify({ items: [{ node: w.hostile.rtl, last_millis: 1700000000000, processes: [{ process: w.hostile.long, roles: [w.hostile.script], first_millis: 1, last_millis: 1700000000000 }], holds: [lease, { kind: 'operation', operation: 'o1', work: 'verify', process: 'p1', role: 'operations', since_millis: 1700000000000 }] }], runs_looked_at: 3 }) }))
    for (const o of [{}, { width: 390 }, { locale: 'ko-KR', theme: 'dark' }]) {
      const p = await w.open('/ui/', o)
      await p.route(/\/api\/v1\/nodes/, r => page.context() && r.fulfill({ contentType: 'application/json', body: JSON.stringify({ items: [{ node: w.hostile.rtl, last_millis: 1700000000000, processes: [{ process: w.hostile.long, roles: [w.hostile.script], first_millis: 1, last_millis: 1700000000000 }], holds: [lease] }], runs_looked_at: 3 }) }))
      await p.goto(`${w.base}/ui/system`)
      await p.locator('[data-lease]').waitFor({ timeout: waitMillis })
      must((await p.locator('[data-lease]').innerText()).includes('× 3'), 'slots are not shown')
      same(await p.evaluate(() => [window.__hit ?? null, document.querySelectorAll('main img').length]), [null, 0], 'what ran')
      must(await p.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `it scrolls sideways at ${o.width}`)
    }
    const then = await w.open(`/ui/system?known_at=${w.position}`, { expected: ['400'] })
    await then.locator('[data-partition]').first().waitFor({ timeout: waitMillis })
    must((await then.locator('main').innerText()).includes('known for now alone'), 'the past has bytes')
  })

  check('a record that halts a view is passed over with a reason, once, and not in the past', async () => {
    const views = { items: [{ view: 'runs', cut: 'mlops-events/0:5', lag_events: 3, inputs: 5, error: `view runs halted at mlops-events/0@5 (x e1): ${w.hostile.img}` }] }
    const asked = []
    const fake = async page => {
      await page.route('**/api/v1/views', r => r.fulfill({ contentType: 'application/json', body: JSON.stringify(views) }))
      await page.route('**/api/v1/views/*/skip', r => {
        asked.push([new URL(r.request().url()).pathname, r.request().postDataJSON(), !!r.request().headers()['idempotency-key']])
        return asked.length === 1 ? r.fulfill({ status: 400, contentType: 'application/problem+json', body: JSON.stringify({ title: 'Invalid', field: 'position', detail: 'the record can be read', hint: 'name the view' }) }) : r.fulfill({ contentType: 'application/json', body: '{}' })
      })
    }
    const page = await w.open('/ui/', { expected: ['400'] })
    await fake(page)
    await page.goto(`${w.base}/ui/system`)
    await confirm(page, 'Pass over…')
    must(/runs[^]*mlops-events\/0@5/.test(await dialog(page).innerText()), `what is asked is ${await dialog(page).innerText()}`)
    same(await axe(page), [], 'axe')
    must(await dialog(page).locator('input[name=reason]').evaluate(e => e.required), 'no reason is wanted')
    await dialog(page).locator('input[type=checkbox]').check()
    await dialog(page).locator('input[name=reason]').fill('a newer release wrote it')
    await dialog(page).locator('button[type=submit]').click()
    await dialog(page).locator('.fault').filter({ hasText: 'name the view' }).waitFor({ timeout: waitMillis })
    await dialog(page).locator('input[type=checkbox]').uncheck()
    await dialog(page).locator('button[type=submit]').click()
    await dialog(page).waitFor({ state: 'detached', timeout: waitMillis })
    same(asked, [['/api/v1/views/*/skip', { position: 'mlops-events/0@5', reason: 'a newer release wrote it' }, true], ['/api/v1/views/runs/skip', { position: 'mlops-events/0@5', reason: 'a newer release wrote it' }, true]], 'commands')
    same(await page.evaluate(() => window.__hit ?? null), null, 'what ran')
    const then = await w.open('/ui/', { expected: ['400'] })
    await fake(then)
    await then.goto(`${w.base}/ui/system?known_at=${w.position}`)
    must(await then.getByRole('button', { name: 'Pass over…' }).isDisabled(), 'the past can be changed')
  })

  check('a run is cancelled, cleared, and a workflow paused, after a word on what changes', async () => {
    const run = { ...(await w.get(`/api/v1/workflows/runs/${w.workflowRun}`)), state: 'running', ended_millis: 0 }
    const asked = []
    const page = await w.open('/ui/')
    await page.route(/\/api\/v1\/workflows\/runs\/[^/]+$/, r => r.fulfill({ contentType: 'application/json', body: JSON.stringify(run) }))
    await page.route(/\/api\/v1\/workflows\/(runs\/[^/]+\/(cancel|clear)|[^/]+\/pause)$/, r => { asked.push([new URL(r.request().url()).pathname.split('/').at(-1), r.request().postDataJSON()]); return r.fulfill({ contentType: 'application/json', body: '{}' }) })
    await page.goto(`${w.base}/ui/workflows/runs/${w.workflowRun}`)
    await confirm(page, 'Cancel the run…')
    same(asked, [], 'before it is confirmed')
    same(await axe(page), [], 'axe')
    await dialog(page).locator('input[name=reason]').fill('too long')
    await dialog(page).locator('button[type=submit]').dblclick()
    await dialog(page).waitFor({ state: 'detached', timeout: waitMillis })
    run.state = 'failed'
    run.tasks[0].state = 'failed'
    await page.reload()
    await confirm(page, 'Do failed tasks again…')
    must((await dialog(page).innerText()).includes(run.tasks[0].task), 'the task is not named')
    await dialog(page).locator('button[type=submit]').click()
    await dialog(page).waitFor({ state: 'detached', timeout: waitMillis })
    await page.goto(`${w.base}/ui/workflows/movie_training_pipeline`)
    await confirm(page, 'Pause…')
    await page.keyboard.press('Escape')
    await dialog(page).waitFor({ state: 'detached', timeout: waitMillis })
    same(await page.evaluate(() => document.activeElement.dataset.focus), 'pause', 'the focus')
    await confirm(page, 'Pause…')
    await dialog(page).locator('button[type=submit]').click()
    await dialog(page).waitFor({ state: 'detached', timeout: waitMillis })
    same(asked, [['cancel', { reason: 'too long' }], ['clear', {}], ['pause', {}]], 'commands')
  })

  check('a record in quarantine is replaced by another value, or dropped; what was decided is told', async () => {
    const dir = path.join(process.env.WORK, `lines-${Date.now()}`)
    fs.mkdirSync(dir)
    const { movie_id: movie } = (await w.get('/api/v1/movies?limit=1')).items[0]
    fs.writeFileSync(path.join(dir, 'movies.csv'), 'movieId,title,genres\n990001,Lines (2001),Drama\n')
    fs.writeFileSync(path.join(dir, 'ratings.csv'), 'userId,movieId,rating,timestamp\n1,990001,4.0,1000000000\n2,990001,seventeen,1000000001\n3,990001,<img src=x onerror="window.__hit=1">,1000000002\n')
    const r = await fetch(`${w.base}/api/v1/imports`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ path: dir, bad_rows: 5, merge: true }) })
    const told = await r.text()
    same(r.status, 200, `the import: ${told}`)
    let open = []
    await w.until(`fewer than two are in quarantine, of ${told.slice(-600)}`, async () => (open = (await w.get('/api/v1/quarantine?state=open')).items).length >= 2)
    const page = await w.open('/ui/events?tab=quarantine', { expected: ['400'] })
    const row = at => page.locator(`[data-quarantined="${at}"]`)
    await row(open[0].position).getByRole('button', { name: 'Drop…' }).click()
    await dialog(page).locator('input[name=reason]').fill('not a rating')
    await dialog(page).locator('button[type=submit]').click()
    await row(open[0].position).filter({ hasText: 'dropped' }).waitFor({ timeout: waitMillis })
    await row(open[1].position).getByRole('button', { name: 'Replace…' }).click()
    const value = dialog(page).locator('textarea')
    await value.waitFor({ timeout: waitMillis })
    same(await axe(page), [], 'axe')
    await value.fill('no JSON')
    must(await dialog(page).locator('button[type=submit]').isDisabled(), 'what is no JSON can be published')
    await value.fill(JSON.stringify({ user_id: '2', movie_id: movie, rating: 17 }))
    await dialog(page).locator('button[type=submit]').click()
    await dialog(page).locator('.fault').filter({ hasText: 'value' }).waitFor({ timeout: waitMillis })
    await value.fill(JSON.stringify({ user_id: '2', movie_id: movie, interaction_type: 'rating', rating: 4.5 }))
    await dialog(page).locator('input[name=reason]').fill('seventeen was meant as 4.5')
    await dialog(page).locator('button[type=submit]').click()
    await row(open[1].position).filter({ hasText: 'replaced' }).waitFor({ timeout: waitMillis })
    const q = await w.get(`/api/v1/quarantine/records/${open[1].position}`)
    must(q.state === 'replaced' && q.decision.by, JSON.stringify(q))
    await row(open[1].position).getByRole('link', { name: q.decision.by }).click()
    await page.locator('.tree').filter({ hasText: 'quarantine.resolved' }).waitFor({ timeout: waitMillis })
    same(await page.evaluate(() => window.__hit ?? null), null, 'what ran')
    const then = await w.open(`/ui/events?tab=quarantine&known_at=${open[1].position}`)
    await then.locator('[data-quarantined]').first().waitFor({ timeout: waitMillis })
    must(await then.getByRole('button', { name: 'Drop…' }).first().isDisabled(), 'the past can be changed')
  })

  check('a version is rebuilt from its page, and serves another slot beside production', async () => {
    await w.idle()
    const page = await w.open(`/ui/models/${w.model}/${w.version}`)
    await w.settled(page)
    await confirm(page, 'Deploy to another slot…')
    await dialog(page).locator('input[name=slot]').fill('production')
    must(await dialog(page).locator('button[type=submit]').isDisabled(), 'production is another slot')
    await dialog(page).locator('input[name=slot]').fill('canary')
    same(await axe(page), [], 'axe')
    await dialog(page).locator('button[type=submit]').dblclick()
    await gone(page)
    await page.locator('main').filter({ hasText: 'canary' }).waitFor({ timeout: waitMillis })
    same((await w.get('/api/v1/deployments/canary')).version, w.version, 'what the slot serves')
    same((await w.get('/api/v1/deployments/canary/history')).items.length, 1, 'deployments of a double click')
    await confirm(page, 'Rebuild…')
    must((await dialog(page).innerText()).includes(`${w.model} ${w.version}`), 'the version is not named')
    await dialog(page).locator('button[type=submit]').dblclick()
    await page.waitForURL(/\/ui\/system\/operations\//, { timeout: waitMillis })
    await page.locator('main .state').filter({ hasText: 'success' }).first().waitFor({ timeout: waitMillis })
    const id = new URL(page.url()).pathname.split('/').at(-1)
    same((await w.get(`/api/v1/operations/${id}`)).result.equal, true, 'the bytes')
    await page.goto(`${w.base}/ui/models/${w.model}?slot=canary`)
    await page.locator('.lanes rect.served').first().waitFor({ timeout: waitMillis })
    const then = await w.open(`/ui/models/${w.model}/${w.version}?known_at=${w.position}`)
    must(await then.getByRole('button', { name: 'Rebuild…' }).isDisabled(), 'the past can be rebuilt')
  })

  check('similar films of a moment whose views are being folded come when they are', async () => {
    const { movie_id: movie } = (await w.get('/api/v1/movies?limit=1')).items[0]
    const page = await w.open('/ui/', { expected: ['503'] })
    let asked = 0
    await page.route(/\/similar\?/, r => ++asked < 3 ? r.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ title: 'Not now', detail: 'the log is being folded up to then: 12 of 99 records', hint: 'ask again' }) }) : r.continue())
    await page.goto(`${w.base}/ui/films/${movie}?tab=similar&known_at=${w.position}`)
    await page.locator('[data-folding]').filter({ hasText: '12 of 99' }).waitFor({ timeout: waitMillis })
    await page.getByRole('group', { name: 'Similar' }).locator('tbody tr').first().waitFor({ timeout: waitMillis })
    must(asked >= 3, `asked ${asked} times`)
  })

  check('the page of a fact asks for nothing that is not there', async () => {
    const page = await w.open('/ui/events/user-events/0@12')
    await page.locator('.tree').filter({ hasText: 'user.' }).or(page.locator('.tree [aria-selected=true]')).first().waitFor({ timeout: waitMillis })
    same((await w.get('/api/v1/audit/chain?of=user-events/0@12')).root.position, 'user-events/0@12', 'the root')
  })

  check('the facts behind a point of so many acts are listed', async () => {
    const films = (await w.get('/api/v1/movies?limit=20')).items
    let curve = { windows: [] }
    let n = 0
    await w.until('no window', async () => { // what serves is judged by what comes
      await w.act(1 + n % 100, films[n++ % films.length].movie_id)
      return (curve = await w.get('/api/v1/quality?window=100&last=200')).windows.length > 0
    })
    const x = curve.windows.at(-1)
    const page = await w.open('/ui/quality?window=100')
    await page.locator('[data-row="0"] button').first().click()
    await page.locator('[data-acts] tbody tr').or(page.locator('[data-acts] .dim')).first().waitFor({ timeout: waitMillis })
    await page.locator('[data-acts]').getByRole('button', { name: 'all', exact: true }).click()
    await page.locator('[data-acts] tbody tr').first().waitFor({ timeout: waitMillis })
    const acts = (await w.get(`/api/v1/quality/acts?first_act=${x.first_act}&last_act=${x.last_act}&limit=100${x.model_name ? `&model=${encodeURIComponent(x.model_name)}&version=${x.model_version}` : ''}`)).items
    must(acts.length > 0 && await page.locator('[data-acts] tbody tr').count() > 0, 'no acts')
  })

  check('similar films of a moment that take long can go on without their page', async () => {
    const { movie_id: movie } = (await w.get('/api/v1/movies?limit=1')).items[0]
    const page = await w.open('/ui/', { expected: ['503'] })
    let held = true
    await page.route(/\/similar\?/, r => held ? r.fulfill({ status: 503, contentType: 'application/problem+json', body: JSON.stringify({ title: 'Not now', detail: 'the log is being folded up to then: 12 of 99 records', hint: 'ask again' }) }) : r.continue())
    await page.goto(`${w.base}/ui/films/${movie}?tab=similar&known_at=${w.position}`)
    const answer = page.waitForResponse(r => r.url().endsWith('/ops/similar'))
    await page.getByRole('button', { name: 'Let it go on without this page' }).click()
    const { operation_id: id } = await (await answer).json()
    await page.getByRole('link', { name: /Operation: begun/ }).click()
    await page.locator('h1').filter({ hasText: 'Similar films at a moment' }).waitFor({ timeout: waitMillis })
    await page.locator('main').filter({ hasText: 'success' }).waitFor({ timeout: 60000 })
    const is = await w.get(`/api/v1/operations/${id}`)
    same(is.result.items, (await w.get(`/api/v1/movies/${movie}/similar?k=20&known_at=${w.position}`)).items, 'what was found')
    held = false
    await page.goto(`${w.base}/ui/system`)
    await page.locator(`[data-operation="${id}"]`).getByRole('link').nth(1).click()
    await page.waitForURL(/\/ui\/films\/.*known_at.*tab=similar/, { timeout: waitMillis })
    await page.getByRole('group', { name: 'Similar' }).locator('tbody tr').first().waitFor({ timeout: waitMillis })
  })
}
