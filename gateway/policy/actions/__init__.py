"""The actions of the language, one file each: `ACTION` with `name`, `Params`, `bare` and `orders`."""
