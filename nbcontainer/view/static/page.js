function b(r,n={},...t){let e=document.createElement(r);for(let[i,a]of Object.entries(n))typeof a=="function"?e.addEventListener(i.slice(2),a):a!==void 0&&a!==!1&&e.setAttribute(i,a===!0?"":String(a));return e.append(...t),e}function h(r,n,...t){let e=b("style");e.textContent=t.join(`
`);let i=b("div",{class:`nbc-view nbc-${n}`});return r.replaceChildren(e,i),i}var M=0,l=class{constructor(n,t){this.model=n;this.handle=t;this.hear=(e,i)=>this.receive(e,i??[])}page=`${Date.now().toString(36)}-${M+=1}`;hear;ready=!1;given=()=>this.handle({kind:"snapshot",data:this.model.get("snapshot")},[]);open(){window.addEventListener("pagehide",this.leave),this.model.on("msg:custom",this.hear),this.model.on("change:snapshot",this.given),this.given(),this.send({kind:"open"})}leave=()=>this.send({kind:"close"});receive(n,t){let e=n.kind==="snapshot"&&n.page&&n.page!==this.page;this.send({kind:"ack"}),!e&&(!this.ready&&n.kind!=="snapshot"||(this.ready=!0,this.handle(n,t)))}send(n,t){try{this.model.send({...n,page:this.page},void 0,t)}catch{}}close(){window.removeEventListener("pagehide",this.leave),this.model.off("msg:custom",this.hear),this.model.off("change:snapshot",this.given),this.send({kind:"close"})}};function E(r=document){let n=r.body.dataset.jpThemeLight;if(n==="true"||n==="false")return n==="true"?"light":"dark";let t=r.body.dataset.vscodeThemeKind;return t?t.includes("light")?"light":"dark":window.matchMedia?.("(prefers-color-scheme: dark)").matches?"dark":"light"}function g(r){let n,t=()=>{let a=E();a!==n&&r(n=a)};t();let e=new MutationObserver(t);e.observe(document.body,{attributes:!0,attributeFilter:["data-jp-theme-light","data-vscode-theme-kind"]});let i=window.matchMedia?.("(prefers-color-scheme: dark)");return i?.addEventListener("change",t),()=>{e.disconnect(),i?.removeEventListener("change",t)}}var m=`.nbc-view {
  --nbc-ground: #ffffff;
  --nbc-raised: #f5f7fa;
  --nbc-ink: #1c2430;
  --nbc-quiet: #5b6675;
  --nbc-line: #d9dfe7;
  --nbc-accent: #0067b1;
  --nbc-good: #12805c;
  --nbc-bad: #c0392b;
  --nbc-wait: #9a6700;
  --nbc-mono: var(--jp-code-font-family, ui-monospace, SFMono-Regular, Menlo, Consolas, monospace);
  background: var(--nbc-ground);
  border: 1px solid var(--nbc-line);
  border-radius: 8px;
  box-sizing: border-box;
  color: var(--nbc-ink);
  font: 13px/1.45 var(--jp-ui-font-family, system-ui, sans-serif);
  margin: 4px 0 8px;
  overflow: hidden;
  position: relative;
}
.nbc-view[data-mode="dark"] {
  --nbc-ground: #12161c;
  --nbc-raised: #1b2129;
  --nbc-ink: #e4e9f0;
  --nbc-quiet: #9aa6b5;
  --nbc-line: #2d3641;
  --nbc-accent: #6cb6ff;
  --nbc-good: #4cc38a;
  --nbc-bad: #ff8178;
  --nbc-wait: #e3b341;
}
.nbc-view *, .nbc-view *::before { box-sizing: border-box; }
.nbc-view .nbc-bar {
  align-items: center; background: var(--nbc-raised); border-bottom: 1px solid var(--nbc-line); display: flex;
  flex-wrap: wrap; gap: 6px 10px; min-height: 34px; padding: 3px 10px;
}
.nbc-view .nbc-name { font-weight: 600; }
.nbc-view .nbc-quiet { color: var(--nbc-quiet); }
.nbc-view .nbc-code { font-family: var(--nbc-mono); font-size: 12px; }
.nbc-view .nbc-space { flex: 1; }
.nbc-view button, .nbc-view select, .nbc-view input[type="search"] {
  background: var(--nbc-ground); border: 1px solid var(--nbc-line); border-radius: 5px; color: var(--nbc-ink);
  font: inherit; font-size: 12px; height: 26px; line-height: 1; margin: 0; padding: 0 9px;
}
.nbc-view button { cursor: pointer; }
.nbc-view button:hover { border-color: var(--nbc-quiet); }
.nbc-view button:disabled { cursor: default; opacity: .45; }
.nbc-view button[aria-pressed="true"] { background: var(--nbc-accent); border-color: var(--nbc-accent); color: var(--nbc-ground); }
.nbc-view :focus-visible { outline: 2px solid var(--nbc-accent); outline-offset: 1px; }
.nbc-view .nbc-dot {
  border: 1.5px solid currentColor; border-radius: 50%; display: inline-block; flex: none; height: 8px; width: 8px;
}
.nbc-view .nbc-dot.good { background: var(--nbc-good); border-color: var(--nbc-good); }
.nbc-view .nbc-dot.bad { background: var(--nbc-bad); border-color: var(--nbc-bad); border-radius: 1px; }
.nbc-view .nbc-dot.wait { background: var(--nbc-wait); border-color: var(--nbc-wait); }
.nbc-view .nbc-hidden {
  clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; white-space: nowrap; width: 1px;
}
`;var w=`.nbc-page { background: none; border: 0; margin: 0; overflow: visible; }
.nbc-page .nbc-table tbody td.nbc-code { white-space: pre; }
.nbc-page .nbc-buttons { display: flex; gap: 6px; margin: 0 0 8px; }
.nbc-page .nbc-said { color: var(--nbc-quiet); min-height: 0; }
.nbc-page .nbc-said:empty { display: none; }
`;function N({model:r,el:n}){let t=h(n,"page",m,w),e=b("div"),i=b("div",{class:"nbc-said",role:"status","aria-live":"polite"});t.append(e,i);let a="",c=()=>[...e.querySelectorAll("input")];function f(o){if(o===a)return;a=o;let d=e.getRootNode().activeElement,u=d instanceof HTMLElement&&e.contains(d)?d.dataset.act:void 0,v=c().map(s=>s.checked),y=c().findIndex(s=>s===d);e.innerHTML=o,c().length===v.length&&(c().forEach((s,k)=>s.checked=v[k]),c()[y]?.focus()),u&&e.querySelector(`[data-act="${u}"]`)?.focus()}let p=new l(r,o=>{o.kind==="snapshot"?f(o.data.html):o.kind==="html"?f(o.data):o.kind==="said"&&(i.textContent=o.data)});e.addEventListener("click",o=>{let d=o.target.closest("[data-act]");d&&p.send({kind:"act",what:d.dataset.act})}),t.addEventListener("keydown",o=>{o.target.matches("button, input, a, summary")&&o.stopPropagation()});let x=g(o=>t.dataset.mode=o);return p.open(),()=>{x(),p.close()}}export{N as render};
