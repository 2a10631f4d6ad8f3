// The script of every view: takes the bundle that draws it from the model it was sent in, once a page, and calls it.

import type { Cleanup, RenderProps, ViewModule, WidgetModel } from "./lib/model";

const KEY = Symbol.for("nbcontainer.bundles");

function loaded(): Map<string, Promise<ViewModule>> {
  const page = globalThis as { [KEY]?: Map<string, Promise<ViewModule>> };
  return (page[KEY] ??= new Map());
}

async function load(code: string): Promise<ViewModule> {
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  try {
    return (await import(/* @vite-ignore */ url)) as ViewModule;
  } finally {
    URL.revokeObjectURL(url);
  }
}

/**
 * anywidget lets nothing through to a model whose script took longer than two seconds to come, now or later
 * (Runtime.ready): a page that was busy once would keep a picture that never changes. Here the script has come, so the
 * model hears again what its base class would have heard; what was missed is in the snapshot that a view asks for.
 */
async function hear(model: WidgetModel): Promise<void> {
  const own = await model.widget_manager.get_model(String(model.get("address")));
  const anywidgets = Object.getPrototypeOf(own);
  const handler = Object.getPrototypeOf(anywidgets)?._handle_comm_msg;
  if (Object.hasOwn(anywidgets, "_handle_comm_msg") && handler) own.comm?.on_msg(handler.bind(own));
}

async function render({ model, el }: RenderProps): Promise<Cleanup> {
  await hear(model);
  const reference = String(model.get("bundle")).replace("IPY_MODEL_", "");
  const bundle = await model.widget_manager.get_model(reference);
  const digest = bundle.get("digest") as string;
  let module = loaded().get(digest);
  if (!module) {
    module = load(bundle.get("code") as string);
    loaded().set(digest, module);
  }
  return (await module).render({ model, el });
}

export default { render };
