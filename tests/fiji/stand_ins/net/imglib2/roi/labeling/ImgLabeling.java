package net.imglib2.roi.labeling;

import java.util.List;
import java.util.Set;

/** Stands for ImgLib2's class, which is on no registry that tests reach: an index image, and labels behind each index. */
public final class ImgLabeling {
    private final Object index;
    private final List<Set<Object>> sets;

    private ImgLabeling(Object index, List<Set<Object>> sets) {
        this.index = index;
        this.sets = sets;
    }

    public static ImgLabeling fromImageAndLabelSets(Object index, List<Set<Object>> sets) {
        return new ImgLabeling(index, sets);
    }

    public Object getIndexImg() {
        return index;
    }

    public Mapping getMapping() {
        return new Mapping();
    }

    public final class Mapping {
        public int numSets() {
            return sets.size();
        }

        public Set<Object> labelsAtIndex(int i) {
            return sets.get(i);
        }
    }
}
