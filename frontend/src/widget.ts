// The script of every view: takes the bundle that draws it from the model it was sent in, once a page, and calls it.

import type { Cleanup, RenderProps, ViewModule } from "./lib/model";

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

async function render({ model, el }: RenderProps): Promise<Cleanup> {
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
