// Checks of long work, groups, dead letters, stages and aliases, and of much of anything.
const fs = require('fs')
const { waitMillis } = require('./world.js')
const axeSource = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')

module.exports = (check, w, { must, same }) => {
  const row = (page, id) => page.locator(`[data-operation="${id}"]`)

  check('1 axe finds nothing serious in dialogs of long work, stages and aliases', async () => {
    const all = []
    const version = `/ui/models/${w.model}/${w.version}`
    for (const theme of ['light', 'dark']) {
      for (const [at, name] of [['/ui/system', 'Verify…'], ['/ui/system', 'Replay…'], ['/ui/system', 'Back up…'], ['/ui/system', 'Import…'], [version, 'Move to a stage…'], [version, 'Set an alias…']]) {
        const page = await w.open(at, { theme })
        await w.settled(page)
        await page.getByRole('button', { name }).click()
        await page.locator('dialog[open]').waitFor({ timeout: waitMillis })
        await w.pause(page, 250)
        await page.evaluate(axeSource)
        all.push(...(await page.evaluate(async () => (await window.axe.run(document, { resultTypes: ['violations'] })).violations.filter(v => ['serious', 'critical'].includes(v.impact)).map(v => `${v.id}: ${v.nodes[0].html.slice(0, 160)}`))).map(f => `${theme} ${name} ${f}`))
        await page.keyboard.press('Escape')
        await page.locator('dialog[open]').waitFor({ state: 'detached', timeout: waitMillis })
        await w.closeAll()
      }
    }
    same(all, [], 'found')
  })

  check('long work that is started goes on when the tab closes, and is found again with its result', async () => {
    const page = await w.open('/ui/system')
    await w.settled(page)
    await page.getByRole('button', { name: 'Verify…' }).click()
    const answer = page.waitForResponse(r => r.url().endsWith('/ops/verify'))
    await page.locator('dialog[open] button[type=submit]').dblclick()
    const r = await answer
    same(r.status(), 202, 'the status')
    const { operation_id: id } = await r.json()
    await page.close()
    const other = await w.open('/ui/system')
    await row(other, id).waitFor({ timeout: waitMillis })
    await row(other, id).filter({ hasText: 'byte for byte' }).waitFor({ timeout: waitMillis })
    const all = (await w.get('/api/v1/operations?kind=verify')).items
    same(all.filter(o => o.operation_id === id).length, 1, 'operations of a double click')
    await row(other, id).getByRole('link').first().click()
    await other.locator('main h1').filter({ hasText: 'Verify' }).waitFor({ timeout: waitMillis })
    must((await other.locator('pre.json').last().innerText()).includes('"equal": true') || (await other.locator('pre.json').last().innerText()).includes('"equal":true'), 'the result is not shown')
    await other.getByRole('link', { name: `operation/${id}` }).click()
    await other.locator('.stream').filter({ hasText: 'operation.ended' }).waitFor({ timeout: waitMillis })
  })

  check('a backup says what it will do, and ends; the past has it running', async () => {
    const to = `${process.env.WORK}/backup-${Date.now()}`
    const page = await w.open('/ui/system', { expected: ['400'] })
    await w.settled(page)
    await page.getByRole('button', { name: 'Back up…' }).click()
    await page.locator('dialog[open] input[name=to]').fill('.')
    await page.locator('dialog[open] button[type=submit]').click()
    await page.locator('dialog[open] .fault').waitFor({ timeout: waitMillis })
    await page.locator('dialog[open] input[name=to]').fill(to)
    const answer = page.waitForResponse(r => r.url().endsWith('/ops/backup') && r.status() === 202)
    await page.locator('dialog[open] button[type=submit]').click()
    const { operation_id: id, offset } = await (await answer).json()
    await row(page, id).filter({ hasText: 'success' }).waitFor({ timeout: waitMillis })
    must((await row(page, id).innerText()).includes(to), 'the folder is not shown')
    const then = await w.open(`/ui/system/operations/${id}?known_at=mlops-events/0@${offset}`)
    await then.locator('main .state').filter({ hasText: 'running' }).first().waitFor({ timeout: waitMillis })
    must(await then.getByRole('button', { name: 'Cancel…' }).isDisabled(), 'the past can be cancelled')
    const list = await w.open(`/ui/system?known_at=mlops-events/0@${offset}`)
    await row(list, id).filter({ hasText: 'running' }).waitFor({ timeout: waitMillis })
    must(await list.getByRole('button', { name: 'Back up…' }).isDisabled(), 'the past can be backed up')
  })

  check('a second of a kind is refused with the one that runs; both languages, a phone and hostile requests are whole', async () => {
    const page = await w.open('/ui/system', { expected: ['409', '404', '400'] })
    await w.settled(page)
    await page.route('**/api/v1/ops/verify', r => r.fulfill({ status: 409, contentType: 'application/problem+json', body: JSON.stringify({ title: 'The state is another than expected', detail: 'a verify is under way already: operation abc', hint: 'follow it at /api/v1/operations/abc' }) }))
    await page.getByRole('button', { name: 'Verify…' }).click()
    await page.locator('dialog[open] button[type=submit]').click()
    await page.locator('dialog[open] .fault').filter({ hasText: 'operation abc' }).waitFor({ timeout: waitMillis })
    const r = await fetch(`${w.base}/api/v1/imports`, { method: 'POST', headers: { 'Content-Type': 'application/json', Prefer: 'respond-async', 'X-Actor': 'x' }, body: JSON.stringify({ path: `/${w.hostile.img}${w.hostile.rtl}${w.hostile.long.slice(0, 3000)}` }) })
    same(r.status, 202, 'the status')
    const { operation_id: id } = await r.json()
    for (const o of [{}, { width: 390 }, { locale: 'ko-KR', theme: 'dark' }]) {
      for (const at of ['/ui/system', `/ui/system/operations/${id}`]) {
        const p = await w.open(at, o)
        await w.settled(p)
        await p.locator('main .state').filter({ hasText: 'failed' }).first().waitFor({ timeout: waitMillis })
        same(await p.evaluate(() => [window.__hit, document.querySelectorAll('main img').length]), [null, 0], at)
        must(await p.evaluate(() => document.documentElement.scrollWidth <= innerWidth && (m => m.scrollWidth <= m.clientWidth)(document.getElementById('main'))), `${at} scrolls sideways at ${o.width}`)
        same(await w.violations(p), [], at)
      }
    }
  })

  check('a list of then that takes long can go on without its page', async () => {
    const page = await w.open('/ui/', { expected: ['net::ERR'] })
    await w.settled(page)
    let held = true
    await page.route(/\/api\/v1\/recommendations\?.*known_at/, async r => { while (held) await new Promise(f => setTimeout(f, 100)); await r.continue().catch(() => {}) })
    await page.goto(`${w.base}/ui/try?user=1&known_at=${w.position}`)
    const answer = page.waitForResponse(r => r.url().endsWith('/ops/recommendations'))
    await page.getByRole('button', { name: 'Let it go on without this page' }).click()
    const { operation_id: id } = await (await answer).json()
    held = false
    await page.getByRole('link', { name: /Operation: begun/ }).or(page.locator('.films li').first()).first().waitFor({ timeout: waitMillis })
    await page.goto(`${w.base}/ui/system`)
    await row(page, id).filter({ hasText: 'success' }).waitFor({ timeout: waitMillis })
    await row(page, id).getByRole('link').nth(1).click()
    await page.waitForURL(/\/ui\/try\?.*known_at/, { timeout: waitMillis })
    await page.locator('.films li').first().waitFor({ timeout: waitMillis })
  })

  check('a rebuild that came out otherwise is told of as failed, and a list of then is linked wherever it is read', async () => {
    const operation = (kind, request, result) => ({ operation_id: `made-up-${kind}`, kind, state: 'success', actor: 'x', request, result, started_millis: 1700000000000, ended_millis: 1700000001000 })
    const page = await w.open('/ui/')
    await page.route('**/api/v1/operations?*', r => r.fulfill({ contentType: 'application/json', body: JSON.stringify({ items: [operation('rebuild', { model: w.model, version: w.version }, { equal: false }), operation('recommendations', { user_id: '1', known_at: 'mlops-events/0@20', k: 5 }, { items: [] })] }) }))
    for (const known of ['', `?known_at=${w.position}`]) {
      await page.goto(`${w.base}/ui/system${known}`)
      const rebuilt = row(page, 'made-up-rebuild')
      await rebuilt.waitFor({ timeout: waitMillis })
      must(/failed[^]*not what was registered/.test(await rebuilt.innerText()), `the rebuild is ${await rebuilt.innerText()}`)
      same(await row(page, 'made-up-recommendations').getByRole('link').nth(1).getAttribute('href'), '/ui/try?k=5&known_at=mlops-events/0@20&user=1', 'the list')
    }
  })

  check('groups tell how far they are, now alone, and who has none how to begin', async () => {
    const page = await w.open('/ui/events?tab=groups')
    await page.locator('.empty, [data-group]').first().waitFor({ timeout: waitMillis })
    const group = { group: w.hostile.img, lag: 12, committed: '2024-01-02T00:00:00.000Z', partitions: [{ topic: 'user-events', partition: 0, offset: 3, end: 15, lag: 12 }] }
    await page.route('**/api/v1/log/groups*', r => r.fulfill({ contentType: 'application/json', body: JSON.stringify({ items: [group], next_cursor: 'YQ' }) }))
    await page.locator('[data-group]').waitFor({ timeout: waitMillis })
    must((await page.locator('[data-group]').innerText()).includes('12'), 'the lag is not shown')
    await page.getByRole('button', { name: 'More' }).click()
    await page.waitForURL(/cursor=YQ/, { timeout: waitMillis })
    await page.unroute('**/api/v1/log/groups*')
    const then = await w.open(`/ui/events?tab=groups&known_at=${w.position}`, { expected: ['400'] })
    await then.getByText('answered for now alone').waitFor({ timeout: waitMillis })
  })

  check('dead letters are tried again and dropped, with a reason', async () => {
    const letter = { dead_letter_id: 'x1', reactor: 'trainer', state: 'open', error: w.hostile.img, position: 'mlops-events/0@5', event_id: 'e', attempts: 5, created_millis: 1700000000000 }
    const asked = []
    const page = await w.open('/ui/events?tab=dead')
    await page.locator('.empty').waitFor({ timeout: waitMillis })
    await page.route('**/api/v1/dead-letters**', r => {
      if (r.request().method() === 'POST') {
        asked.push([new URL(r.request().url()).pathname, r.request().postDataJSON()])
        letter.state = asked.length === 1 ? 'open' : 'dropped'
        return r.fulfill({ contentType: 'application/json', body: JSON.stringify(letter) })
      }
      return r.fulfill({ contentType: 'application/json', body: JSON.stringify({ items: [letter] }) })
    })
    await page.getByRole('button', { name: 'open', exact: true }).click()
    await page.getByRole('button', { name: 'Try again…' }).click()
    await page.locator('dialog[open] button[type=submit]').click()
    await page.locator('dialog[open]').waitFor({ state: 'detached', timeout: waitMillis })
    await page.getByRole('button', { name: 'Drop…' }).click()
    must(await page.locator('dialog[open] input').evaluate(e => e.required), 'no reason is wanted')
    await page.locator('dialog[open] input').fill('the film is gone')
    await page.locator('dialog[open] button[type=submit]').click()
    await page.locator('[data-letter]').filter({ hasText: 'dropped' }).waitFor({ timeout: waitMillis })
    same(asked, [['/api/v1/dead-letters/x1/retry', {}], ['/api/v1/dead-letters/x1/drop', { reason: 'the film is gone' }]], 'commands')
    same(await page.evaluate(() => window.__hit ?? null), null, 'what ran')
  })

  check('who follows a topic sees what comes, at its top alone', async () => {
    const page = await w.open('/ui/events/user-events?tail=1')
    await page.locator('[data-row="0"]').waitFor({ timeout: waitMillis })
    const first = () => page.locator('[data-row="0"]').innerText()
    const before = await first()
    const movie = (await w.get('/api/v1/movies?limit=1')).items[0].movie_id
    await w.act(9, movie)
    await page.waitForFunction(b => document.querySelector('[data-row="0"]')?.innerText !== b, before, { timeout: waitMillis })
    await page.locator('[role=grid]').evaluate(e => { e.scrollTop = 900 })
    await w.pause(page, 300)
    const seen = await page.locator('[role=grid] .rows [role=row]').evaluateAll(all => all.map(r => r.innerText))
    for (let i = 0; i < 5; i++) await w.act(9, movie)
    await page.locator('.news').waitFor({ timeout: waitMillis })
    await w.pause(page, 1500)
    same(await page.locator('[role=grid] .rows [role=row]').evaluateAll(all => all.map(r => r.innerText)), seen, 'what is in sight')
  })

  check('33 a version is moved to a stage and given an alias, with a confirmation; of two that deploy from one reading one sees the conflict', async () => {
    const name = `staged ${Date.now()}`
    await w.mlflow('registered-models/create', { name })
    for (let i = 0; i < 2; i++) await w.mlflow('model-versions/create', { name, source: 's3://b/x' })
    await w.idle()
    const page = await w.open(`/ui/models/${encodeURIComponent(name)}/1`, { expected: ['412', '409'] })
    await w.settled(page)
    await page.getByRole('button', { name: 'Move to a stage…' }).click()
    await page.locator('dialog[open] select').selectOption('Staging')
    await page.locator('dialog[open] input:not([type])').fill('검토함 – é')
    await page.locator('dialog[open] button[type=submit]:not([disabled])').click()
    await page.locator('main .state').filter({ hasText: 'Staging' }).first().waitFor({ timeout: waitMillis })
    for (const how of ['Cancel', 'Close']) { // the focus is where it was
      await page.getByRole('button', { name: 'Set an alias…' }).click()
      await page.locator('dialog[open]').getByRole('button', { name: how }).click()
      await page.locator('dialog[open]').waitFor({ state: 'detached', timeout: waitMillis })
      await w.pause(page, 300)
      same(await page.evaluate(() => document.activeElement.dataset.focus), 'alias', `the focus after ${how}`)
    }
    await page.getByRole('button', { name: 'Set an alias…' }).click()
    await page.locator('dialog[open] input').fill('__proto__')
    must((await page.locator('dialog[open]').innerText()).includes('@__proto__: none → 1'), `what is set is ${await page.locator('dialog[open]').innerText()}`)
    await page.locator('dialog[open] input').fill('best')
    await page.locator('dialog[open] button[type=submit]:not([disabled])').click()
    await page.getByRole('button', { name: 'Remove the alias best' }).waitFor({ timeout: waitMillis })
    const m = await w.get(`/api/v1/models/${encodeURIComponent(name)}`)
    same([m.versions[0].stage, m.versions[0].stage_reason, m.aliases], ['Staging', '검토함 – é', { best: 1 }], 'the model')
    await page.getByRole('button', { name: 'Remove the alias best' }).click()
    await page.locator('dialog[open] button[type=submit]:not([disabled])').waitFor({ timeout: waitMillis })
    const reads = url => url.pathname === `/api/v1/models/${encodeURIComponent(name)}`
    const seen = page.waitForResponse(async r => reads(new URL(r.url())) && (await r.text()).includes('"tags"'))
    await w.mlflow('registered-models/set-tag', { name, key: 'k', value: 'v' }) // meanwhile
    await page.locator('dialog[open] button[type=submit]').click()
    await page.locator('dialog[open] .fault').waitFor({ timeout: waitMillis })
    await page.keyboard.press('Escape')
    await seen // the page looks again
    await w.settled(page)
    await page.getByRole('button', { name: 'Remove the alias best' }).click()
    await page.locator('dialog[open] button[type=submit]:not([disabled])').click()
    await page.getByText('no aliases').waitFor({ timeout: waitMillis })
    await page.waitForFunction(() => document.activeElement?.matches('main h1'), null, { timeout: waitMillis }).catch(() => must(false, 'the focus is lost with what was removed'))
    // What the page has not shown yet is not taken for read.
    await page.keyboard.press('Space')
    await page.getByRole('button', { name: /Paused/ }).first().waitFor({ timeout: waitMillis })
    await w.settled(page)
    await w.unasked(page, reads)
    await w.send('POST', `/api/v1/models/${encodeURIComponent(name)}/versions/1/stage`, { stage: 'Archived', reason: 'somebody else' })
    await page.getByRole('button', { name: 'Move to a stage…' }).click()
    await page.locator('dialog[open] select').selectOption('None')
    const answer = page.waitForResponse(r => r.url().endsWith('/stage'))
    await page.locator('dialog[open] button[type=submit]').click()
    same((await answer).status(), 412, 'an act on what is another by now')
    await page.locator('dialog[open]').getByRole('button', { name: 'Cancel' }).click()
    await page.locator('main .state').filter({ hasText: 'Archived' }).first().waitFor({ timeout: waitMillis })
    // The slot is guarded too: another model's deployment is seen, though this model's stream has not changed.
    const now = await w.get('/api/v1/deployments/production')
    const r = await fetch(`${w.base}/api/v1/models/${w.model}/versions/${now.version}/deploy`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ instead_of: 'mlops-events/0@1' }) })
    same(r.status, 200, 'what serves already')
    const others = async () => (await w.get(`/api/v1/models/${w.model}`)).versions.map(v => v.version).filter(n => n !== now.version)
    await w.trains(async () => [now.version, ...(await others())])
    const [other] = await others()
    const serves = await w.get('/api/v1/deployments/production')
    const from = other === serves.version ? now.version : other
    const refused = await fetch(`${w.base}/api/v1/models/${w.model}/versions/${from}/deploy`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ instead_of: 'mlops-events/0@1' }) })
    same([refused.status, (await refused.json()).field], [409, 'instead_of'], 'a deployment on another reading')
  })
}
