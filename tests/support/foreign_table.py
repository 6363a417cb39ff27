"""A folder of foreign portraits with its table."""

import numpy as np

from ifrp_tf.pictures import images

HEADER = "portrait,photo,style,undo_theta_rad,undo_scale,undo_t1,undo_t2"


def write(folder, rows, header=HEADER, table="train.csv"):
    """Portraits of one level each: `(name, photo, level, theta)`."""
    lines = [header]
    for name, photo, level, theta in rows:
        path = folder / "ink" / f"{name}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        images.write_png(path, np.full((40, 40, 3), level, np.uint8))
        lines.append(f"ink/{name}.png,{photo},ink,{theta},1.1,0.05,-0.1")
    (folder / table).write_text("\n".join(lines) + "\n")
    return folder
